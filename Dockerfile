# One image for the three roles of a deployment; the command chooses:
#   dagster api grpc -m taxi_platform.definitions -h 0.0.0.0 -p 4000
#   dagster-webserver
#   dagster-daemon run
# docs/deployment.md explains how to build and run it.

# Any base with Python 3.11 and its venv module. For reproducible builds, give a digest.
ARG BASE_IMAGE=python:3.11-slim-bookworm


# The locked packages. Changes of the project's own code do not rebuild this stage.
FROM ${BASE_IMAGE} AS dependencies

# The builder's pip.conf and certificates say where packages come from. They are mounted only for the
# command that needs them, and are in no layer. Both may be missing.
ENV PIP_CONFIG_FILE=/run/secrets/pip_conf \
    PIP_COMPILE=0 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /build
COPY deploy/install-locked requirements-build.lock requirements-deploy.lock ./

# pip and the build backend are in /opt/build, so that /opt/venv, which is shipped, has no installer. Bytecode
# is compiled here, because the image's user cannot write it, and is never checked against its source,
# because copying between layers may change files' times.
RUN --mount=type=secret,id=pip_conf --mount=type=secret,id=ca_bundle \
    python3 -m venv /opt/build \
    && python3 -m venv --without-pip /opt/venv \
    && ./install-locked requirements-build.lock /opt/build/bin/pip \
    && ./install-locked requirements-deploy.lock \
        /opt/build/bin/pip --python /opt/venv/bin/python \
    && /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib


# The project itself, in a small layer of its own.
FROM dependencies AS application

COPY pyproject.toml README.md LICENSE ./
COPY taxi_platform taxi_platform
RUN /opt/build/bin/pip wheel --quiet --no-index --no-deps --no-build-isolation \
        --wheel-dir /build/dist . \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --quiet --no-compile \
        --no-index --no-deps --root /application /build/dist/*.whl \
    && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash \
        -s /application /application/opt/venv/lib


FROM ${BASE_IMAGE}

# `make image` passes both; a Dockerfile cannot determine them.
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="taxi-platform" \
      org.opencontainers.image.description="Dagster data platform for the TLC's monthly trip files" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# Fixed numbers, so that volumes and an orchestrator's security policy can name the user. The folders
# that the service writes to are created here, because a new volume inherits their owner.
RUN groupadd --gid 10001 dagster \
    && useradd --uid 10001 --gid dagster --no-log-init --no-create-home \
        --home-dir /opt/dagster --shell /usr/sbin/nologin dagster \
    && install -d /opt/dagster /opt/dagster/app \
    && install -d -o dagster -g dagster \
        /opt/dagster/data /opt/dagster/home /opt/dagster/home/storage

COPY --from=dependencies /opt/venv /opt/venv
COPY --chmod=0755 deploy/healthcheck /usr/local/bin/healthcheck
COPY --chmod=0644 dagster.yaml /opt/dagster/home/
COPY --chmod=0644 workspace.yaml /opt/dagster/app/
COPY --from=application /application/opt/venv /opt/venv

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DAGSTER_HOME=/opt/dagster/home \
    DAGSTER_WEBSERVER_HOST=0.0.0.0 \
    TAXI_DATA_DIR=/opt/dagster/data

WORKDIR /opt/dagster/app
USER 10001:10001
# The web server and the code server.
EXPOSE 3000 4000
# A check imports Dagster, which takes seconds on a busy machine.
HEALTHCHECK --interval=30s --timeout=30s --start-period=90s --retries=3 CMD ["healthcheck"]
CMD ["dagster-webserver"]
