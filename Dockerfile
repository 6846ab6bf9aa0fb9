# syntax=docker/dockerfile:1
# The program with the reading page and PostgreSQL; compose.yaml runs it. docs/containers.md is its manual.
FROM python:3.12-slim-bookworm

# WeasyPrint draws PDFs with the libraries of Pango.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/sparcc
COPY pyproject.toml README.md LICENSE ./
COPY models ./models
COPY configs ./configs
COPY sparcc_pipeline ./sparcc_pipeline
# The only package named is this one; its dependencies have their bounds in pyproject.toml.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir '.[web,postgres]'

# A new volume takes owner and rights of the folder that it is mounted on; the identity folder must be 0700.
RUN useradd --uid 10001 --create-home sparcc \
    && install -d -o sparcc -g sparcc -m 0700 /data/identity /data/reader \
    && install -d -o sparcc -g sparcc -m 0750 /data/work /data/inbox /data/inbox/S01 /data/results

USER 10001
WORKDIR /data
ENTRYPOINT ["sparcc"]
CMD ["--help"]
