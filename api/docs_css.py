"""Style sheet of the reference pages, with rules for small screens, dark mode and print."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5c6778; --line: #dfe4ec;
  --paper: #fff; --shade: #f5f7fa; --link: #1f5fbf; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e8f0; --soft: #98a4b6; --line: #2e3746;
  --paper: #12161d; --shade: #1a2029; --link: #7fb0ff; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; }
body { margin: 0; display: grid; grid-template-columns: 19rem minmax(0, 1fr); color: var(--ink);
  background: var(--paper); font: 16px/1.55 system-ui, sans-serif; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; padding: 1.25rem 1rem 3rem;
  background: var(--shade); border-right: 1px solid var(--line); font-size: .86rem; }
nav .home { font-size: 1.2rem; font-weight: 700; color: inherit; }
nav h2 { margin: 1.3rem 0 .3rem; font-size: .72rem; letter-spacing: .08em; color: var(--soft);
  text-transform: uppercase; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav li a { display: flex; align-items: flex-start; gap: .5rem; padding: .2rem 0;
  color: inherit; }
nav li b[class] { flex: none; width: 3.9rem; padding: .1rem 0; font-size: .62rem;
  text-align: center; }
main { max-width: 56rem; padding: 2rem clamp(1rem, 4vw, 3rem) 6rem; }
h1 { margin: 0 0 1rem; font-size: 2rem; line-height: 1.2; }
section > h2 { margin: 3.5rem 0 .2rem; font-size: 1.4rem; text-transform: capitalize; }
article { margin: 1.5rem 0 0; padding: 1.2rem 0 .4rem; border-top: 1px solid var(--line); }
article:target h3 code { background: #ffe9a8; color: #1c2330; }
h3 { margin: 0; font-size: 1.02rem; display: flex; flex-wrap: wrap; gap: .6rem; }
h3 code { overflow-wrap: anywhere; }
h4 { margin: 1.2rem 0 .4rem; font-size: .9rem; }
p { margin: .6rem 0; }
small, .access { color: var(--soft); font-size: .82rem; font-weight: 400; }
.required { color: #c2410c; }
code, pre { font: .86em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
p code, td code, li code { padding: .05em .3em; background: var(--shade); border-radius: 4px;
  overflow-wrap: anywhere; }
pre { margin: .5rem 0; padding: .8rem 1rem; overflow: auto; background: var(--shade);
  border: 1px solid var(--line); border-radius: 8px; }
table { width: 100%; border-collapse: collapse; font-size: .86rem; }
td, th { padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
td:first-child { min-width: 8.5rem; }
tr:target { background: #ffe9a833; }
details { margin: .7rem 0; }
summary { cursor: pointer; color: var(--link); font-size: .9rem; }
b.get, b.post, b.put, b.delete, b.request, b.subscribe { padding: .1rem .45rem; border-radius: 5px;
  color: #fff; font: 700 .75rem/1.6 system-ui, sans-serif; }
b.get { background: #1f6feb; } b.post { background: #1a7f4b; }
b.put { background: #9a6700; } b.delete { background: #c0352b; }
b.request { background: #1a7f4b; } b.subscribe { background: #6e40c9; }
@media (max-width: 56rem) { body { display: block; }
  nav { position: static; height: auto; border: 0; border-bottom: 1px solid var(--line); } }
@media print { nav { display: none; } body { display: block; } details > * { display: block; } }
"""
