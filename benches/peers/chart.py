"""The summary as a chart: a group of bars for each load, relative to direct."""

from html import escape

from targets import title

COLOURS = {"haproxy": "#9aa7b5", "twemproxy": "#7d8ca0", "envoy": "#bcc6d0", "redoubt": "#c2410c"}
LEFT, WIDTH, BAR, GAP, TOP = 250, 520, 15, 16, 56
INK = "#64748b"


def chart(throughput):
    """Returns an SVG that is readable on light and on dark pages."""
    names = [name for name in throughput.names if name in COLOURS]
    groups = [(load.title, [(name, ratio) for name in names if
                            (ratio := throughput.ratio(load, name, "direct")) is not None])
              for load in throughput.loads]
    largest = max([1.0, *(ratio for _, bars in groups for _, ratio in bars)])
    scale = WIDTH / (largest * 1.1)
    height = TOP + sum(len(bars) * BAR + GAP for _, bars in groups) + 10
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 40} {height}" '
           f'font-family="sans-serif" font-size="12" fill="{INK}">')
    yield f'<text x="{LEFT}" y="18" font-weight="bold">requests a second, relative to direct</text>'
    at = LEFT
    for name in names:
        label = title(name).strip("*")
        yield f'<rect x="{at}" y="28" width="10" height="10" fill="{COLOURS[name]}"/>'
        yield f'<text x="{at + 14}" y="37">{escape(label)}</text>'
        at += 34 + 7 * len(label)
    y = TOP
    for heading, bars in groups:
        middle = y + len(bars) * BAR / 2 + 4
        yield f'<text x="{LEFT - 10}" y="{middle:.0f}" text-anchor="end">{escape(heading)}</text>'
        for name, ratio in bars:
            width = ratio * scale
            yield (f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}" '
                   f'fill="{COLOURS[name]}"/>')
            yield f'<text x="{LEFT + width + 5:.1f}" y="{y + BAR - 4}" font-size="11">{ratio:.2f}</text>'
            y += BAR
        y += GAP
    one = LEFT + scale
    yield (f'<line x1="{one:.1f}" x2="{one:.1f}" y1="{TOP - 6}" y2="{height - 10}" stroke="{INK}" '
           'stroke-dasharray="3 3"/>')
    yield "</svg>"
