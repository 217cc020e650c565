"""Modules import each other in one direction only."""

import grimp


def test_no_module_imports_itself_in_a_circle() -> None:
    imports = grimp.build_graph("bigquery_emulator", cache_dir=None)
    reached = {module: imports.find_upstream_modules(module) for module in imports.modules}
    circles = {
        frozenset([module, *(other for other in reached[module] if module in reached[other])])
        for module in imports.modules
    }
    assert [sorted(circle) for circle in circles if len(circle) > 1] == []
