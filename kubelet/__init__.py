"""The kubelet: makes the pods of one node real, and tells the API server what became of them.

One task per pod says the house's sentence: `observe` what the runtime shows, `plan` (pure) what to do, `act`.
`status` (pure) says what to report. Beside the pods, `node` registers and reports the machine, and `server` answers
logs, exec and attach for the API server. `recipe` turns a pod into what a runtime is given, `runtime` is Docker behind
a Protocol, `resources` is what containers share.

Belongs here: all that happens on a node. Never belongs here: decisions about more than one node (scheduler,
controllers), Service rules (kubeproxy), and any import of another component: the API server is met over HTTP.
"""
