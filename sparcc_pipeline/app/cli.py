"""The command `sparcc`. Only typer is imported here; what a command needs is imported when it runs.

Exit codes: 0 scored, 2 usage or settings, 3 input rejected, 4 unscorable, 5 model, 6 output.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sparcc_pipeline import __version__
from sparcc_pipeline.app.nightly.commands import DEFAULT_FILE, nightly_app
from sparcc_pipeline.app.reader.commands import reader_app
from sparcc_pipeline.app.trial.commands import trial_app
from sparcc_pipeline.errors import SparccError

app = typer.Typer(
    name="sparcc",
    help="SPARCC score (0-72) of the sacroiliac joints from STIR MRI. Research use only.",
    epilog="Exit codes: 0 scored, 2 usage or settings, 3 input rejected, 4 unscorable, 5 model, 6 output.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


app.add_typer(nightly_app)
app.add_typer(trial_app)
app.add_typer(reader_app)


class EngineName(StrEnum):
    """Engines that can run the networks."""

    ONNX = "onnx"
    OPENVINO = "openvino"
    TORCH = "torch"


class LanguageName(StrEnum):
    """Languages of the reports."""

    ENGLISH = "en"
    CHINESE = "zh"


class StyleName(StrEnum):
    """Vendors whose headers a phantom can imitate."""

    SIEMENS = "siemens"
    GE = "ge"
    PHILIPS = "philips"


def main() -> None:
    """Run the command line; every error of ours ends as one sentence and its exit code."""
    try:
        app()
    except SparccError as error:
        sentence = " ".join(str(error).split())
        typer.echo(f"sparcc: error: {sentence}", err=True)
        sys.exit(error.exit_code)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sparcc-pipeline {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    pass


@app.command()
def score(
    # readable=False: typer's own check of rights would end with 2 and words of its own.
    study: Annotated[
        Path, typer.Argument(help="Folder, zip, DICOMDIR, DICOM file or NIfTI file of one study.", readable=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results; made by this command.", readable=False)],
    slices: Annotated[
        str | None,
        typer.Option(
            metavar="FIRST-LAST",
            help="Score these six slices, for instance 7-12, counted from 0 at the most anterior slice.",
        ),
    ] = None,
    series: Annotated[str | None, typer.Option(metavar="UID", help="Score the series with this UID.")] = None,
    accept_fat_suppressed: Annotated[
        bool, typer.Option("--accept-fat-suppressed", help="Also take SPAIR, SPIR or Dixon water T2, marked as such.")
    ] = False,
    nifti: Annotated[bool, typer.Option("--nifti", help="Also write the anatomy and edema maps as NIfTI.")] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also write the report as PDF.")] = False,
    dicom: Annotated[
        bool, typer.Option("--dicom/--no-dicom", help="Also write results for a PACS (see sparcc send).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier result in --out.")] = False,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings (TOML) over the default ones.", readable=False)
    ] = None,
    engine: Annotated[EngineName | None, typer.Option(help="Engine that runs the networks.")] = None,
    lang: Annotated[
        LanguageName | None, typer.Option(help="Language of the report: English or Simplified Chinese.")
    ] = None,
) -> None:
    """Score one study; DIR gets score.json, score.csv, report.html, run.toml and overlay/."""
    from sparcc_pipeline.app.score_command import parse_slices, resolve_config, run_score
    from sparcc_pipeline.app.study import Request

    request = Request(parse_slices(slices) if slices is not None else None, series, accept_fat_suppressed)
    settings = resolve_config(config, engine.value if engine else None, lang.value if lang else None)
    run_score(study, out, request, settings, nifti=nifti, pdf=pdf, dicom=dicom, as_json=as_json, force=force)


@app.command()
def batch(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...", help="Folders, zips, DICOMDIR or NIfTI files with studies.", readable=False
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the results; that of an earlier batch goes on.", readable=False)
    ],
    workers: Annotated[int | None, typer.Option(min=1, max=1024, help="Processes; by default one a core.")] = None,
    limit_memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="For all workers together, for instance 4GB.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="tcp://HOST:PORT", help="Use the workers of this dask scheduler instead.")
    ] = None,
    dicom: Annotated[
        bool, typer.Option("--dicom/--no-dicom", help="Write results for a PACS of each study (see sparcc send).")
    ] = True,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also write each report as PDF.")] = False,
    accept_fat_suppressed: Annotated[
        bool, typer.Option("--accept-fat-suppressed", help="Also take SPAIR, SPIR or Dixon water T2, marked as such.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings (TOML) over the default ones.", readable=False)
    ] = None,
    engine: Annotated[EngineName | None, typer.Option(help="Engine that runs the networks.")] = None,
    lang: Annotated[
        LanguageName | None, typer.Option(help="Language of index and reports: English or Simplified Chinese.")
    ] = None,
) -> None:
    """Score every study below SOURCE; DIR gets one row each in batch.csv, index.html, and a folder a study.

    Exit codes: 0 every study has a result (scored, unscorable or rejected: see the rows), 6 some failed,
    130 interrupted. Run the same command again: finished studies are skipped.
    """
    from sparcc_pipeline.app.batch_command import run_batch_command
    from sparcc_pipeline.app.score_command import resolve_config
    from sparcc_pipeline.app.study import Request

    request = Request(accept_fat_suppressed=accept_fat_suppressed)
    settings = resolve_config(config, engine.value if engine else None, lang.value if lang else None)
    code = run_batch_command(
        sources,
        out,
        request,
        settings,
        workers=workers,
        limit_memory=limit_memory,
        scheduler=scheduler,
        dicom=dicom,
        pdf=pdf,
    )
    raise typer.Exit(code)


@app.command()
def compare(
    studies: Annotated[
        list[Path],
        typer.Argument(
            metavar="BASELINE FOLLOW_UP...",
            help="Baseline, then follow-ups: studies, or folders of finished scores.",
            readable=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results; made by this command.", readable=False)],
    slices: Annotated[
        str | None,
        typer.Option(metavar="FIRST-LAST", help="Score these six slices of the baseline, for instance 7-12."),
    ] = None,
    same_person: Annotated[
        bool, typer.Option("--same-person", help="Compare although the patient identifiers differ.")
    ] = False,
    accept_fat_suppressed: Annotated[
        bool, typer.Option("--accept-fat-suppressed", help="Also take SPAIR, SPIR or Dixon water T2, marked as such.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the change as JSON, and nothing else.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier change in --out.")] = False,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings (TOML) over the default ones.", readable=False)
    ] = None,
    engine: Annotated[EngineName | None, typer.Option(help="Engine that runs the networks.")] = None,
    lang: Annotated[
        LanguageName | None, typer.Option(help="Language of the report: English or Simplified Chinese.")
    ] = None,
) -> None:
    """Score follow-ups on the slices of their baseline; DIR gets change.json, change.csv, change.html, run.toml."""
    if len(studies) < 2:
        raise typer.BadParameter("expected a baseline and at least one follow-up, found one study")
    from sparcc_pipeline.app.compare_command import run_compare
    from sparcc_pipeline.app.score_command import parse_slices, resolve_config
    from sparcc_pipeline.app.study import Request

    request = Request(parse_slices(slices) if slices is not None else None, None, accept_fat_suppressed)
    settings = resolve_config(config, engine.value if engine else None, lang.value if lang else None)
    run_compare(studies, out, request, settings, same_person=same_person, as_json=as_json, force=force)


@app.command()
def send(
    results: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of a score made with --dicom, or of many.", readable=False)
    ],
    to: Annotated[
        str, typer.Option(metavar="AET@HOST:PORT|URL", help="PACS: C-STORE to AET@HOST:PORT, or DICOMweb at a URL.")
    ],
    title: Annotated[
        str, typer.Option("--from", metavar="AET", help="Application entity title of our own.")
    ] = "SPARCC",
    timeout: Annotated[float, typer.Option(min=1, max=3600, help="Seconds to wait for each answer.")] = 30,
) -> None:
    """Send the DICOM results in DIR to a PACS, and look whether they arrived."""
    from sparcc_pipeline.app.send_command import run_send

    run_send(results, to, title, timeout)


@app.command()
def receive(
    config: Annotated[
        Path, typer.Option(metavar="FILE", help="Settings of the night (TOML).", readable=False)
    ] = DEFAULT_FILE,
) -> None:
    """Be the DICOM node that sites send to, until SIGTERM or Ctrl-C; sparcc nightly does the rest."""
    from sparcc_pipeline.app.nightly.receive_command import run_receiver

    run_receiver(config)


@app.command()
def phantom(
    out: Annotated[Path, typer.Option(help="Folder for the study; made by this command.")],
    seed: Annotated[int, typer.Option(help="Another seed is another phantom.")] = 0,
    lesions: Annotated[int | None, typer.Option(min=0, max=40, help="How many lesions to try to place.")] = None,
    spacing: Annotated[float | None, typer.Option(min=2.0, max=6.0, help="Distance of the slices in mm.")] = None,
    pixel: Annotated[float | None, typer.Option(min=0.3, max=1.2, help="Size of a pixel in mm.")] = None,
    tilt: Annotated[float | None, typer.Option(min=0.0, max=60.0, help="Degrees from straight coronal.")] = None,
    style: Annotated[StyleName, typer.Option(help="Vendor whose headers to imitate.")] = StyleName.SIEMENS,
    enhanced: Annotated[bool, typer.Option("--enhanced", help="One multi-frame file.")] = False,
    reverse: Annotated[bool, typer.Option("--reverse", help="Count InstanceNumber from the other end.")] = False,
) -> None:
    """Make a synthetic study whose score is known; for tests and demonstrations only."""
    from sparcc_pipeline.app.phantom_command import run_phantom
    from sparcc_pipeline.training.phantom_spec import random_spec

    spec = random_spec(seed, lesions=lesions, slice_spacing_mm=spacing, pixel_mm=pixel, tilt_degrees=tilt)
    run_phantom(spec, out, style=style.value, enhanced=enhanced, reverse=reverse)


@app.command()
def evaluate(
    data: Annotated[Path, typer.Option(help="Folder with sij_mri/ and pelvic_t1/ (see models/README.md).")],
    run: Annotated[
        Path, typer.Option(help="Folder for the figures; of a training, which goes on where it was stopped.")
    ],
    seed: Annotated[int, typer.Option(help="Seed of weights and augmentation, or of the random scans.")] = 0,
    retest: Annotated[
        bool, typer.Option("--retest", help="Measure instead how far the installed model repeats itself.")
    ] = False,
    registration: Annotated[
        bool, typer.Option("--registration", help="Measure instead how well follow-ups are laid on their baseline.")
    ] = False,
    stress: Annotated[
        bool, typer.Option("--stress", help="Measure instead how far other acquisitions move the score.")
    ] = False,
    designs: Annotated[
        bool, typer.Option("--designs", help="Train and compare instead other designs of the edema network.")
    ] = False,
    people: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only these, for --stress.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only these changes or designs, for --stress or --designs.")
    ] = None,
    repeats: Annotated[
        int, typer.Option(min=2, max=100, help="Random scans of each, for --retest and --registration.")
    ] = 10,
    overlays: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Also a picture of everybody: never to be passed on.")
    ] = None,
) -> None:
    """Measure the model with one person left out at a time; trains what is missing (hours on two cores)."""
    if retest or registration or stress:
        from sparcc_pipeline.app.measure_command import run_registration, run_retest, run_stress

        if retest:
            run_retest(data, run, seed, repeats)
        if registration:
            run_registration(data, run, seed, repeats)
        if stress:
            run_stress(data, run, seed, people or [], only or [])
        return
    from sparcc_pipeline.app.train_command import run_designs, run_evaluate

    if designs:
        run_designs(data, run, only or [])
        return
    run_evaluate(data, run, seed, overlays)


@app.command()
def train(
    data: Annotated[Path, typer.Option(help="Folder with sij_mri/ and pelvic_t1/ (see models/README.md).")],
    run: Annotated[Path, typer.Option(help="Folder of this training; goes on where it was stopped.")],
    bundle: Annotated[Path, typer.Option(help="Folder for the model bundle; made by this command.")],
    version: Annotated[str, typer.Option(help="Version of the model.")],
    seed: Annotated[int, typer.Option(help="Seed of weights and augmentation.")] = 0,
) -> None:
    """From the data to the model bundle: folds, figures, training on everybody (hours on two cores)."""
    from sparcc_pipeline.app.train_command import run_train

    run_train(data, run, bundle, version, seed)


@app.command()
def benchmark(
    study: Annotated[
        Path | None, typer.Argument(help="Study to measure; by default a phantom of real size.", readable=False)
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Processor threads of the engines.")] = 2,
    repeats: Annotated[int, typer.Option(min=1, max=100, help="Warm studies; their median is told.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")] = False,
) -> None:
    """Measure how fast this machine scores: step by step, cold and warm, and each engine beside the others."""
    from sparcc_pipeline.app.benchmark_command import run_benchmark

    run_benchmark(study, threads, repeats, as_json=as_json)


@app.command()
def doctor(
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings of the night (TOML): check also what it needs.", readable=False),
    ] = None,
) -> None:
    """Check the installation: version, dependencies, settings, model and its hash, writing.

    With the settings of the night also identity folder, disk, inboxes, manifests, database, clock, ports, PACS, mail.
    """
    from sparcc_pipeline.app.doctor import run_doctor

    run_doctor(config)


if __name__ == "__main__":
    main()
