"""What `lint-imports` does not see: circles that go through a package's own `__init__`."""

import grimp
import networkx as nx


def test_no_modules_import_each_other_in_a_circle():
    graph = grimp.build_graph("gnnseq", "harness", "studies", cache_dir=None)
    imports = nx.DiGraph(
        (name, each) for name in graph.modules for each in graph.find_modules_directly_imported_by(name)
    )
    assert len(imports) > 50
    assert [sorted(circle) for circle in nx.strongly_connected_components(imports) if len(circle) > 1] == []
