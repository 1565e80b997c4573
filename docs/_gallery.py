"""Order of the examples in the gallery, from introductory to advanced."""

FIRST_TO_LAST = (
    "pca_and_autoencoder",
    "grid_search",
    "displays",
    "own_encoder",
    "progress_and_callbacks",
    "denoising",
    "sparse_patches",
    "contractive_codes",
    "single_cells",
    "intrusions",
    "sensor_faults",
    "generating_digits",
    "translating_digits",
    "interpolating_faces",
    "latent_directions",
    "posterior_collapse",
)


class ReadingOrder:
    def __init__(self, src_dir: str):
        self.src_dir = src_dir

    def __repr__(self) -> str:
        return "<ReadingOrder>"

    def __call__(self, file: str) -> tuple[int, str]:
        name = file.removeprefix("plot_").removesuffix(".py")
        known = name in FIRST_TO_LAST
        return (FIRST_TO_LAST.index(name) if known else len(FIRST_TO_LAST)), name
