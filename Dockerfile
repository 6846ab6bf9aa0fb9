# syntax=docker/dockerfile:1
# The program with the reading page and PostgreSQL; compose.yaml runs it. docs/containers.md is its manual.
FROM python:3.12-slim-bookworm

# WeasyPrint draws PDFs with the libraries of Pango; tesseract reads the border of images if the settings ask for it.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 \
        tesseract-ocr tesseract-ocr-eng \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/sparcc
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY models ./models
COPY configs ./configs
COPY sparcc_pipeline ./sparcc_pipeline
# Every package has one version and its hashes in requirements.lock; the project itself is built from what is there then.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir --require-hashes --requirement requirements.lock \
    && pip install --no-cache-dir --no-deps --no-build-isolation '.[web,postgres]'

# A new volume takes owner and rights of the folder that it is mounted on; the identity folder must be 0700.
RUN useradd --uid 10001 --create-home sparcc \
    && install -d -o sparcc -g sparcc -m 0700 /data/identity /data/reader \
    && install -d -o sparcc -g sparcc -m 0750 /data/work /data/inbox /data/inbox/S01 /data/results

USER 10001
WORKDIR /data
ENTRYPOINT ["sparcc"]
CMD ["--help"]
