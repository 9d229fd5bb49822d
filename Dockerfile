# One image for all Quorate processes: replicas, migrations, a single node.
# It installs only packages from requirements.lock, and verifies the hash of every file.
ARG PYTHON_IMAGE=python:3.13-slim

# -- Build stage: wheels of Quorate and its dependencies ------------------------
FROM ${PYTHON_IMAGE} AS wheels
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python3 -m venv /tools
# nkeys is available as source only. The locked setuptools, installed first, builds it.
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

# -- Runtime image --------------------------------------------------------------
FROM ${PYTHON_IMAGE}
COPY --from=wheels /opt/quorate /opt/quorate
# A new volume that is mounted here inherits the owner and mode of this directory.
RUN install -d -m 0700 -o 10001 -g 10001 /var/lib/quorate
ENV PATH=/opt/quorate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    QUORATE_DATA_DIR=/var/lib/quorate \
    QUORATE_HOST=0.0.0.0
USER 10001:10001
WORKDIR /var/lib/quorate
EXPOSE 8420
# Liveness: unhealthy means that a restart helps. /readyz reports whether commands are accepted.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
  CMD ["python3", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8420/livez', timeout=2)"]
ENTRYPOINT ["quorate"]
CMD ["serve"]
