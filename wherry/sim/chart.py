"""Chart: the course of replays as an SVG picture, one line for each policy. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

from wherry.machinery.time import duration_text
from wherry.sim.measures import Moment

WIDTH, HEIGHT, MARGIN, LEFT = 640, 160, 36, 56
COLORS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf")

Courses = Mapping[str, Sequence[Moment]]


def chart(courses: Courses) -> str:
    """Pods that wait, and for each resource the share in use, over time."""
    resources = dict.fromkeys(name for moments in courses.values() for moment in moments[:1] for name in moment.used)
    panels: list[tuple[str, Callable[[Moment], float], bool]] = [("pods that wait", lambda m: float(m.waiting), False)]
    panels += [(f"{name} in use", _use_of(name), True) for name in resources]
    end = max((moments[-1].at for moments in courses.values() if moments), default=0.0) or 1.0
    height = len(panels) * (HEIGHT + MARGIN) + 2 * MARGIN
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH + LEFT + MARGIN}" height="{height}"']
    lines[0] += ' font-family="sans-serif" font-size="12">'
    lines += [*_legend(courses)]
    for index, (title, value, is_share) in enumerate(panels):
        top = 2 * MARGIN + index * (HEIGHT + MARGIN)
        most = 1.0 if is_share else max((value(m) for moments in courses.values() for m in moments), default=0.0) or 1.0
        lines += [*_frame(title, top, "100%" if is_share else f"{most:g}", end)]
        for color, moments in zip(_colors(courses), courses.values(), strict=True):
            lines.append(_line(moments, lambda m, value=value, most=most: value(m) / most, top, end, color))  # type: ignore[misc]
    return "\n".join([*lines, "</svg>", ""])


def _use_of(name: str) -> Callable[[Moment], float]:
    return lambda moment: moment.used[name]


def _colors(courses: Courses) -> list[str]:
    return [COLORS[index % len(COLORS)] for index in range(len(courses))]


def _legend(courses: Courses) -> Iterator[str]:
    for index, (name, color) in enumerate(zip(courses, _colors(courses), strict=True)):
        x = LEFT + index * 150
        yield f'<rect x="{x}" y="12" width="12" height="12" fill="{color}"/>'
        yield f'<text x="{x + 18}" y="23">{escape(name)}</text>'


def _frame(title: str, top: int, most: str, end: float) -> Iterator[str]:
    yield f'<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#bbb"/>'
    yield f'<text x="{LEFT}" y="{top - 6}">{escape(title)}</text>'
    yield f'<text x="{LEFT - 6}" y="{top + 10}" text-anchor="end">{most}</text>'
    yield f'<text x="{LEFT - 6}" y="{top + HEIGHT}" text-anchor="end">0</text>'
    yield f'<text x="{LEFT + WIDTH}" y="{top + HEIGHT + 14}" text-anchor="end">{duration_text(end)}</text>'


def _line(moments: Sequence[Moment], share: Callable[[Moment], float], top: int, end: float, color: str) -> str:
    """A staircase: what is so stays so until something changes."""
    points, y = [], float(top + HEIGHT)
    for moment in moments:
        x = LEFT + moment.at / end * WIDTH
        points.append(f"{x:.1f},{y:.1f}")
        y = top + HEIGHT * (1 - share(moment))
        points.append(f"{x:.1f},{y:.1f}")
    return f'<polyline fill="none" stroke="{color}" stroke-width="1.5" points="{" ".join(points)}"/>'
