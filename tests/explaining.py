"""One way to ask torch_geometric for an explanation."""

from torch_geometric.explain import Explainer


def explain(model, algorithm, x, edge_index, index=None, node_mask_type=None):
    explainer = Explainer(
        model=model,
        algorithm=algorithm,
        explanation_type="model",
        node_mask_type=node_mask_type,
        edge_mask_type="object",
        model_config={"mode": "regression", "task_level": "node", "return_type": "raw"},
    )
    return explainer(x, edge_index, index=index)
