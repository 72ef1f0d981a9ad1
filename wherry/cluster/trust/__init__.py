"""Who is who: the cluster's certificate authority, what it signs, and the kubeconfigs that carry it."""
