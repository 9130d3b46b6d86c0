"""How the docs are built, with no network: `sphinx-build -W docs site`."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "benchmarks")]

project, author, language = "gnnseq", "The gnnseq authors", "en"
copyright = author
version = release = installed("gnnseq")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "site_parts.mathml",
    "site_parts.pictures",
    "site_parts.sources",
]
templates_path = ["_templates"]
exclude_patterns = ["examples", "_templates", "_build", "sg_execution_times.rst", "gallery/sg_execution_times.rst"]
html_math_renderer = "mathml"

autosummary_generate = True
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_use_rtype = False
napoleon_custom_sections = [("Shapes", "params_style")]

myst_enable_extensions = ["dollarmath", "attrs_inline", "attrs_block"]
myst_heading_anchors = 3

sphinx_gallery_conf = {
    "examples_dirs": ["examples"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": "/",
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,  # a page of them would fetch scripts from the network
    "min_reported_time": 1,
    "download_all_examples": False,
    "copyfile_regex": r".*\.rst",
    "plot_gallery": True,
    "abort_on_example_error": True,
    "matplotlib_animations": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "gnnseq"
html_static_path = ["_static"]
html_css_files = ["gnnseq.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
ALONE = ("index", "start", "concepts", "guide", "speed", "beyond_one_machine", "from_torch", "from_torch_geometric",
         "changelog")  # fmt: skip
html_sidebars = {page: [] for page in ALONE}  # pages with none below them, whose sidebar would be empty
html_context = {"default_mode": "auto"}
suppress_warnings = ["config.cache"]  # the gallery's order is a function, which cannot be pickled
