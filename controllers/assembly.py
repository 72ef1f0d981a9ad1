"""All controllers, put together: what the process runs, and what a simulation or a test runs inside its own.

    controllers = Controllers(client, Settings(root_ca=pem), may_act=leader.holds)
    await leader.lead(controllers.run)

`catalogue.py` says which controllers there are, `shells/running.py` runs them.
"""

from controllers.catalogue import Settings
from controllers.shells.running import Controllers

__all__ = ["Controllers", "Settings"]
