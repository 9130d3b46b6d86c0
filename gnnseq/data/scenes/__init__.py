"""Images of people as boxes, what joins them, and graphs of both: PISC, PIPA and COCO-like files, without pixels."""

from gnnseq.data.scenes.graphs import pose_graph, scene_graph
from gnnseq.data.scenes.load import load_scenes, pipa, pisc
from gnnseq.data.scenes.scene import Scene, Scenes

__all__ = ["Scene", "Scenes", "load_scenes", "pipa", "pisc", "pose_graph", "scene_graph"]
