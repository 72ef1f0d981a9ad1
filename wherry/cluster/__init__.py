"""One machine made into a cluster, and back: what `wherry up`, `down` and `status` do.

Belongs here: certificates, kubeconfigs, the Docker network and images, the processes of a cluster and their
supervisor. Never belongs here: what a component does once it runs, and how the command line looks (`wherry.cli`).
"""
