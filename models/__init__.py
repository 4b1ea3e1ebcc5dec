"""What is true whoever decides: time, devices, grid, markets. Numpy in, numbers out.

The law of units and signs
==========================
Names carry the unit: `_kw`, `_kvar`, `_kwh`, `_wh`, `_pu`, `_eur`, `_eur_per_kwh`, `_s`, `_h`, `_percent`.

===================  =============================================================================================
power                positive INTO the grid at a connection point (export, generation, discharge), negative out of
                     it (import, demand, charge). It holds for every device too, so a net power is a plain sum.
envelope             ``lower_kw <= net_kw <= upper_kw``
energy stored        positive kWh (state of charge, backlog, what a car still needs)
orders               a side and a positive energy in Wh; never a signed volume
ledger               integers: money in 1e-5 EUR, energy in Wh, so that sums are exactly zero
voltage, angle       pu of nominal, radians; loading in percent of rating; losses in kW
time                 integer seconds UTC from the start of the run
===================  =============================================================================================

kW and kWh meet only in `Interval.energy_kwh` and `Horizon.hours`; kW and MW only in the pandapower door.
"""

if __name__ != "cosim.models":
    raise ImportError(f"import this package as cosim.models, not as {__name__}")

from cosim.models.envelope import Envelope, Envelopes
from cosim.models.time import Horizon, Interval

__all__ = ["Envelope", "Envelopes", "Horizon", "Interval"]
