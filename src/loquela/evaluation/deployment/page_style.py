"""The look of the report's page, by day and by night."""

STYLE = """
:root { color-scheme: light dark; --ground: #fdfcf9; --ink: #1f2328; --soft: #656d76; --line: #d8d4ca; --panel: #f3f0e8;
  --good: #2f7d6b; --bad: #b8432b; --one: #35708f; --two: #b07a1e; --three: #7a5aa0; }
@media (prefers-color-scheme: dark) { :root { --ground: #16181c; --ink: #e4e2dc; --soft: #9aa0a8; --line: #33373e;
  --panel: #1f2227; --good: #6bbfa6; --bad: #ec8468; --one: #74b3d3; --two: #dcae5a; --three: #b79be0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.25rem 4rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2.5rem 0 .75rem; }
p { margin: .4rem 0; } .soft { color: var(--soft); overflow-wrap: anywhere; }
.outcome { border-left: .4rem solid var(--good); background: var(--panel); border-radius: .3rem; padding: .8rem 1rem;
  margin: 1.25rem 0; } .outcome.failed { border-color: var(--bad); } .outcome b { font-size: 1.15rem; }
.outcome ul { margin: .4rem 0 0; padding-left: 1.2rem; }
.numbers { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0; padding: 0; list-style: none; }
.numbers li { background: var(--panel); border-radius: .5rem; padding: .6rem .9rem; min-width: 8rem; }
.numbers b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line);
  vertical-align: middle; }
th { font-weight: 600; color: var(--soft); } td.n, th.n { text-align: right; white-space: nowrap; }
td.met { color: var(--good); } td.missed { color: var(--bad); font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem; }
@media (max-width: 32rem) { .charts { grid-template-columns: 1fr; } }
figure { margin: 0; background: var(--panel); border-radius: .5rem; padding: .8rem; }
figcaption { font-weight: 600; margin-bottom: .3rem; } svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; } .axis { stroke: var(--line); stroke-width: 1; }
.limit { stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 5 4; } svg text.limit-text { fill: var(--bad); }
.c1 { --c: var(--one); } .c2 { --c: var(--two); } .c3 { --c: var(--three); }
circle { fill: var(--c); fill-opacity: .75; }
path.curve { fill: none; stroke: var(--c); stroke-width: 2; } .cross { stroke: var(--bad); stroke-width: 1.5; }
.bar { fill: var(--c); } .bar.met { fill: var(--good); } .bar.missed { fill: var(--bad); }
.key { display: flex; gap: 1rem; flex-wrap: wrap; color: var(--soft); font-size: .85rem; margin-top: .3rem; }
.key span::before { content: ""; display: inline-block; width: .7rem; height: .7rem; border-radius: 50%;
  background: var(--c); margin-right: .35rem; vertical-align: -.05rem; } td svg { width: 11rem; min-width: 7rem; }
"""
