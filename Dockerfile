# One image for every process of ours: replicas, migrations, a single node.
# Only what requirements.lock names is installed, and every file of it is checked by its hash.
ARG PYTHON_IMAGE=python:3.13-slim

# -- Wheels: ours, and those that it needs --------------------------------------
FROM ${PYTHON_IMAGE} AS wheels
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python3 -m venv /tools
# nkeys comes as source only: the locked setuptools, which goes first, builds it.
COPY requirements.lock ./
RUN awk '/^setuptools==/,!/\\$/' requirements.lock > setuptools.lock \
 && /tools/bin/pip install --quiet --require-hashes -r setuptools.lock \
 && /tools/bin/pip wheel --quiet --require-hashes --no-deps --no-build-isolation \
      --only-binary :all: --no-binary nkeys --wheel-dir /wheels -r requirements.lock
COPY . .
RUN /tools/bin/pip install --quiet --no-index --find-links /wheels hatchling \
 && /tools/bin/python -m hatchling build --target wheel --directory /wheels
RUN python3 -m venv --without-pip /opt/quorate \
 && /tools/bin/pip --python /opt/quorate/bin/python3 install --quiet --no-index \
      --find-links /wheels 'quorate[server,postgres,otel]'

# -- What runs ------------------------------------------------------------------
FROM ${PYTHON_IMAGE}
COPY --from=wheels /opt/quorate /opt/quorate
# A volume that is mounted here for the first time takes over whose folder this is.
RUN install -d -m 0700 -o 10001 -g 10001 /var/lib/quorate
ENV PATH=/opt/quorate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    QUORATE_DATA_DIR=/var/lib/quorate \
    QUORATE_HOST=0.0.0.0
USER 10001:10001
WORKDIR /var/lib/quorate
EXPOSE 8420
# Healthy while it should not be restarted; whether it takes commands is what /readyz says.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
  CMD ["python3", "-c", "from urllib.request import urlopen as ask; ask('http://127.0.0.1:8420/livez', timeout=2)"]
ENTRYPOINT ["quorate"]
CMD ["serve"]
