"""Subresources: what can be asked of an object besides itself. One file each; `@subresource` registers it.

`status` and `scale` serve every kind that declares them; the others belong to one resource.
"""

from apiserver.subresources.base import Subresource, find_subresource, subresource, subresources_of

__all__ = ["Subresource", "find_subresource", "subresource", "subresources_of"]
