"""The benchmark side by side: the same cases for linksnap, for other tools, and for the bare loops of system calls.

How the parts lie, from the ground up; each uses only what stands before it:

- `deed`      a command as a value, shown or run
- `measure`   runs one deed and counts what it took
- `scene`     a fresh filesystem, and its removal
- `data`      the trees that are backed up, and what changes in them
- `tools`     one class a tool, one method a case
- `check`     whether what a tool made is right
- `cases`     the table of cases
- `figures`   every single figure, kept as it is measured
- `ratios`    medians, ratios and fits: pure
- `tables`, `charts`, `growth`  what is written at the end: pure
- `machine`   what it was measured on
- `options`   the command line
- `play`      rounds: who runs when
- `main`      the order of everything
"""
