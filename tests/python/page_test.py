"""The ```python blocks of a page are one session from top to bottom; what is shown behind >>> holds. page_test.py PAGE.md"""
import doctest
import re
import sys


def main():
    path = sys.argv[1]
    with open(path, encoding="utf-8") as file:
        blocks = re.findall(r"^```python\n(.*?)^```", file.read(), re.M | re.S)
    assert blocks
    names = {"__name__": "__main__"}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for number, block in enumerate(blocks, 1):
        if ">>>" in block:
            test = doctest.DocTestParser().get_doctest(block, names, f"{path}, block {number}", path, 0)
            runner.run(test, clear_globs=False)
            names.update(test.globs)
        else:
            exec(compile(block, f"{path}, block {number}", "exec"), names)  # pylint: disable=exec-used
    assert runner.summarize().attempted > 0
    sys.exit(1 if runner.failures else 0)


if __name__ == "__main__":
    main()
