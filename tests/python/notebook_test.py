"""Runs a notebook's code cells from nothing, in order, and shows what each ends with as a notebook does: its last cell must
end in a page. notebook_test.py NOTEBOOK"""
import ast
import json
import sys


def run(source, names):
    """The value of the cell's last line, if that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)  # pylint: disable=exec-used
    return None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def shown(value):
    return value._repr_html_() if hasattr(value, "_repr_html_") else repr(value)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        notebook = json.load(file)
    assert notebook["nbformat"] == 4
    names = {"__name__": "__main__"}
    value, cells = None, 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        assert cell["outputs"] == [] and cell["execution_count"] is None, "what the notebook shows is not kept in it"
        value = run("".join(cell["source"]), names)
        cells += 1
        if value is not None:
            print(f"cell {cells}: {shown(value)[:120]}")
    assert cells >= 5 and shown(value).startswith("<iframe"), "the notebook does not end in a page"


if __name__ == "__main__":
    main()
