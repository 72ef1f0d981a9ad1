"""What the machine gives a cluster, or is made to give: packages, Docker, a network, images, ports.

Belongs here: everything that asks or changes the machine outside the data directory. Each part says plainly what a
person must do where it may not do it itself.
"""
