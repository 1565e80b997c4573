"""Sphinx configuration: ``python -m sphinx -W --keep-going docs docs/_build/html``.

The build needs no network: formulae are MathML, fonts come with the theme, and references
to other projects stay plain text. References within this project must resolve.
"""

import os
import sys
from pathlib import Path

# Examples are many small fits, which several threads make slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

sys.path.insert(0, str(Path(__file__).parent))

import skae  # noqa: E402

project = "skae"
author = "the skae developers"
copyright = author
version = release = skae.__version__

extensions = [
    "_mathml",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery", "sg_execution_times.rst"]
templates_path = ["_templates"]
nitpicky = True
nitpick_ignore_regex = [
    # Other projects: their pages are not fetched.
    (r"py:.*", r"(functools|matplotlib|numpy|pandas|pyod|sklearn|skorch|torch)\..*"),
]

myst_enable_extensions = ["attrs_inline", "colon_fence", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autosummary_ignore_module_all = False  # the members of skae.__all__
autodoc_typehints = "none"  # types are in the numpydoc sections
numpydoc_show_class_members = False  # methods are listed by the class template
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_math_renderer = "mathml"
html_title = "skae"
html_static_path = ["_static"]
html_css_files = ["skae.css"]
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 7,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
}

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"plot_.*\.py$",
    "ignore_pattern": r"gallery_data\.py",
    "within_subsection_order": "_gallery.ReadingOrder",
    "doc_module": ("skae",),
    "backreferences_dir": "api/backreferences",
    "inspect_global_variables": False,
    "remove_config_comments": True,
    "show_signature": False,
    "download_all_examples": False,
    "matplotlib_animations": False,
    "abort_on_example_error": False,
}
