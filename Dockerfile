# WAN22 in a container, for a machine without a GPU or with an NVIDIA one:
#
#   docker build --target cpu -t wan22:cpu .
#   docker build --target cuda -t wan22:cuda .
#
# In a container the server has to listen on an address that others can reach, and it does that only with an API key:
#
#   docker run --rm -p 127.0.0.1:8000:8000 -e WAN22_SERVER__API_KEY=CHOOSE -v wan22:/data wan22:cpu
#   docker run --rm --gpus all -p 127.0.0.1:8000:8000 -e WAN22_SERVER__API_KEY=CHOOSE -v wan22:/data wan22:cuda
#
# Without the key it ends at once and says so. Requests carry it as `Authorization: Bearer CHOOSE`. Real weights:
# -v D:\AI\models:/models -e WAN22_MODELS__MODELS_DIRS='["/models"]'.
# tests/scripts/test_dockerfile_steps.py carries out the cpu target's steps without Docker.

FROM python:3.12-slim AS base
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
ENV WAN22_HOME=/data
RUN useradd --create-home --uid 10001 wan22 && install --directory --owner wan22 /data
WORKDIR /app
COPY scripts/constraints.txt ./
RUN pip install --upgrade -c constraints.txt pip setuptools
# The dependencies come with an empty package first, so that a change of the code does not fetch them again.
COPY pyproject.toml README.md LICENSE ./
COPY wan22/__init__.py wan22/
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
CMD ["wan22", "serve", "--host", "0.0.0.0"]

# The wheels bring CUDA with them; of NVIDIA's the host needs the driver and the container toolkit. CUDA 13 needs driver
# 580 or newer; for an older one, or a card before the 20 series: --build-arg CUDA=cu126.
FROM base AS cuda
ARG CUDA=cu130
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN pip install --no-deps -c constraints.txt --index-url https://download.pytorch.org/whl/${CUDA} torch
RUN pip install --no-build-isolation -c constraints.txt .
COPY wan22 wan22
RUN pip install --no-build-isolation --no-deps .
USER wan22

FROM base AS cpu
RUN pip install --no-deps -c constraints.txt --index-url https://download.pytorch.org/whl/cpu torch
RUN pip install --no-build-isolation -c constraints.txt .
COPY wan22 wan22
RUN pip install --no-build-isolation --no-deps .
USER wan22
