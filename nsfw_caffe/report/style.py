"""How a page looks: CSS."""

from __future__ import annotations

STYLE = """\
:root { --text: #1d2430; --dim: #5b6575; --back: #ffffff; --card: #f3f5f8; --line: #d9dee6; --accent: #2f6fd6;
  --contrast: #c2410c; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e8ef; --dim: #9aa5b5; --back: #14181f; --card: #1e242e; --line: #343d4b; --accent: #6ea3f7;
    --contrast: #f59e5b; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 3rem; max-width: 60rem; background: var(--back); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
h1 { margin: 0; font-size: 1.6rem; line-height: 1.25; }
h2 { margin: 2.25rem 0 .75rem; font-size: 1.15rem; }
p { margin: .25rem 0; }
header p, figcaption, section > p, dt, th { color: var(--dim); }
bdi { overflow-wrap: anywhere; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: .6rem; margin: 0; }
.facts div { padding: .6rem .8rem; border-radius: .5rem; background: var(--card); }
dt { font-size: .85rem; }
dd { margin: 0; font-size: 1.1rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
section > * + * { margin-top: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem 1.1rem .35rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { font-size: .85rem; font-weight: 500; }
td:not(.number) { min-width: 5.5rem; }
th:last-child, td:last-child { padding-right: 0; }
.number { text-align: right; white-space: nowrap; }
.number bdi { overflow-wrap: normal; }
figure { margin: 0; }
section > figure + *, section > * + figure { margin-top: 1.6rem; }
figcaption { max-width: 46rem; }
figure svg { display: block; width: 100%; max-width: 34rem; height: auto; color: var(--text); }
figure svg * { stroke-linejoin: round; stroke-linecap: butt; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .9rem; margin: 0;
  padding: 0; list-style: none; }
.gallery li { min-width: 0; font-size: .85rem; color: var(--dim); }
.gallery img, .none { display: block; width: 100%; height: 8rem; border-radius: .5rem; background: var(--card); }
.gallery img { object-fit: contain; }
.none { padding-top: 3.25rem; text-align: center; }
.gallery strong { display: block; margin-top: .25rem; color: var(--text); font-variant-numeric: tabular-nums; }
@media (max-width: 30rem) {
  body { padding: 1rem .9rem 2rem; }
  table { font-size: .9rem; }
  th, td { padding-right: .7rem; }
  .facts { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .gallery { grid-template-columns: repeat(2, minmax(0, 1fr)); }
}
"""
"""Light and dark as the reader's system has it, from a phone's width up."""
