"""CEL, the expression language of Kubernetes' policies, match conditions and validation rules.

    environment = Environment(object="dyn", replicas="int")
    program = environment.compile("object.spec.replicas <= replicas")
    if isinstance(program, Failure): ...            # what is wrong with the expression, in Kubernetes' words
    answer = program.evaluate(object=deployment, replicas=5)
    if isinstance(answer, Failure): ...             # what went wrong with these values

Failures are values, not exceptions: callers decide what a broken expression means. The engine is Google's
(`cel-expr-python`), loaded at the first expression, so that a server without any neither waits nor pays for it.

Belongs here: compiling and evaluating, Kubernetes' own functions, and what keeps hostile expressions short. Never
belongs here: which variables a policy or a rule has.

Differs: comprehensions of one evaluation share 10,000 steps, where Kubernetes counts a cost; `transformMap`,
`transformMapEntry`, `format.*` and `string(cidr)` are not served.
"""

from wherry.machinery.cel.engine import Environment, Failure, Program, can_match, matches

__all__ = ["Environment", "Failure", "Program", "can_match", "matches"]
