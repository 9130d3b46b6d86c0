"""GraphML and GEXF. Entities are refused, so that a small file stays small, and nothing outside the file is read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from gnnseq.data.graph_files.draft import Draft, number, wrong
from gnnseq.data.graph_files.gml import draft_names

__all__ = ["read_xml"]

DEEPEST = 100  # elements in elements
REFUSED = {"hyperedge": "edges of two nodes", "port": "edges of nodes, not of their ports"}


@dataclass
class Element:
    """A part of the file: its tag without namespace, its line."""

    tag: str
    attributes: dict[str, str]
    line: int
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def all(self, tag: str) -> Iterator["Element"]:
        """Its own children of a tag."""
        return (child for child in self.children if child.tag == tag)


def read_xml(content: bytes, draft: Draft, suffix: str) -> None:
    """GraphML or GEXF, whichever the file's first element says."""
    expected = {".gexf": "GEXF"}.get(suffix, "GraphML")
    root = _parse(content, draft, expected)
    readers = {"graphml": _graphml, "gexf": _gexf}
    if root.tag not in readers:
        raise wrong(draft.path, root.line, f"<{root.tag}>", f"{expected}: <graphml> or <gexf>")
    graphs = list(root.all("graph"))
    if len(graphs) != 1:
        raise wrong(draft.path, graphs[1].line if len(graphs) > 1 else None, f"{len(graphs)} graphs", "one <graph>")
    readers[root.tag](root, graphs[0], draft)


def _parse(content: bytes, draft: Draft, form: str) -> Element:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    stack = [Element("", {}, 0)]

    def start(tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag.rpartition(" ")[2], attributes, parser.CurrentLineNumber)
        if element.tag in REFUSED:
            raise wrong(draft.path, element.line, f"<{element.tag}>", REFUSED[element.tag])
        if len(stack) > DEEPEST:
            raise wrong(draft.path, element.line, f"more than {DEEPEST} elements in elements", form)
        stack[-1].children.append(element)
        stack.append(element)

    def entity(*_: object) -> None:
        raise wrong(
            draft.path, parser.CurrentLineNumber, "an entity of the file's own", f"{form} without: write out its text"
        )

    def characters(text: str) -> None:
        stack[-1].text += text

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda tag: stack.pop()
    parser.CharacterDataHandler = characters
    parser.EntityDeclHandler = entity
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        if isinstance(error, ValueError) and str(error).startswith(str(draft.path)):
            raise
        raise wrong(draft.path, parser.CurrentLineNumber, str(error), form) from error
    return stack[0].children[0]


def _graphml(root: Element, graph: Element, draft: Draft) -> None:
    draft.form = "GraphML"
    keys = {
        key.attributes.get("id", ""): next((default.text for default in key.all("default")), None)
        for key in root.all("key")
        if key.attributes.get("attr.name", "").lower() == "weight"
        and key.attributes.get("for", "all") in ("edge", "all")
    }
    default = next((text for text in keys.values() if text is not None), None)
    one_way = _way(graph.attributes.get("edgedefault"), "edgedefault", draft, graph.line)
    for node in graph.all("node"):
        if any(node.all("graph")):
            raise wrong(draft.path, node.line, "a graph inside a node", "one <graph>")
        _add(node, draft)
    names = {name: name for name in draft.nodes}
    for edge in graph.all("edge"):
        said = {"true": True, "1": True, "false": False, "0": False, None: one_way}
        directed = edge.attributes.get("directed")
        if directed not in said:
            raise wrong(draft.path, edge.line, f'directed="{directed}"', "true or false")
        weights = [data.text for data in edge.all("data") if data.attributes.get("key") in keys]
        if len(weights) > 1:
            raise wrong(draft.path, edge.line, f"{len(weights)} weights of one edge", "one")
        _connect(edge, weights[0] if weights else default, said[directed], draft, names)


def _gexf(root: Element, graph: Element, draft: Draft) -> None:
    draft.form = "GEXF"
    if graph.attributes.get("mode", "static") == "dynamic":
        raise wrong(draft.path, graph.line, 'mode="dynamic"', "a static graph: export one moment of it")
    one_way = _way(graph.attributes.get("defaultedgetype", "undirected"), "defaultedgetype", draft, graph.line)
    keys: dict[str, str | None] = {}
    for attributes in graph.all("attributes"):
        if attributes.attributes.get("class") == "edge":
            keys |= {
                key.attributes.get("id", ""): next((default.text for default in key.all("default")), None)
                for key in attributes.all("attribute")
                if key.attributes.get("title", "").lower() == "weight"
            }
    labels: dict[str, str | None] = {}
    for nodes in graph.all("nodes"):
        for node in nodes.all("node"):
            if any(node.all("nodes")):
                raise wrong(draft.path, node.line, "nodes inside a node", "nodes side by side")
            labels[_add(node, draft)] = node.attributes.get("label")
    names = draft_names(labels)
    draft.nodes = dict.fromkeys(names.values())
    edges = [edge for group in graph.all("edges") for edge in group.all("edge")]
    plain = any("weight" in edge.attributes for edge in edges)
    draft.default = 1.0 if plain else next((number(text) for text in keys.values() if text is not None), None)
    for edge in edges:
        way = _way(edge.attributes["type"], "type", draft, edge.line) if "type" in edge.attributes else one_way
        weight = edge.attributes.get("weight")
        if not plain and keys:
            values = [value for group in edge.all("attvalues") for value in group.all("attvalue")]
            said = [
                value.attributes.get("value", "")
                for value in values
                if value.attributes.get("for", value.attributes.get("id")) in keys
            ]
            weight = said[0] if said else next((text for text in keys.values() if text is not None), None)
        _connect(edge, weight, way, draft, names)


def _way(said: str | None, name: str, draft: Draft, line: int) -> bool:
    """Whether edges go one way; mutual ones go both."""
    if said not in ("directed", "undirected", "mutual"):
        raise wrong(draft.path, line, f'{name}="{said}"', "directed or undirected")
    return said == "directed"


def _add(node: Element, draft: Draft) -> str:
    name = node.attributes.get("id", "")
    if not name or name in draft.nodes:
        raise wrong(draft.path, node.line, f"a node of id {name!r}", "an id that no other node has")
    draft.nodes[name] = None
    return name


def _connect(edge: Element, weight: str | None, one_way: bool, draft: Draft, names: dict[str, str]) -> None:
    ends = [edge.attributes.get(end, "") for end in ("source", "target")]
    for end in ends:
        if end not in names:
            raise wrong(draft.path, edge.line, f"an edge of node {end!r}", "ids of nodes that the file lists")
    value = None if weight is None else number(weight)
    if weight is not None and value is None:
        raise wrong(draft.path, edge.line, f"weight {weight[:60]!r}", "a number")
    draft.link(names[ends[0]], names[ends[1]], value, one_way, edge.line)
