"""kube-proxy: makes Services answer on this machine, by address (rules or relays) and by name (cluster DNS).

    observe   runner.py    Services and EndpointSlices, as the API server streams them
    plan      plan.py      pure: which traffic goes to which endpoints (`rules.py` is the vocabulary)
    act       backends/    nftables where the kernel can, a userspace relay elsewhere; both pass one contract
    names     dns/         the zone cluster.local, answered from the same objects

Never belongs here: choosing endpoints (controllers/services/endpointslice.py) or giving out cluster IPs (apiserver).
"""
