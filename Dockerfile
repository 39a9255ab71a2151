FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/forbear
COPY requirements/base.txt requirements/
RUN /opt/forbear/bin/pip install --no-cache-dir --require-hashes --no-deps --requirement requirements/base.txt
COPY . .
# setuptools comes with the lock, to build with; what runs has no use for it, nor for pip.
RUN /opt/forbear/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/forbear/bin/pip uninstall --yes setuptools pip

FROM python:3.11-slim
COPY --from=build /opt/forbear /opt/forbear
RUN useradd --create-home --uid 10001 forbear && install --directory --owner=forbear /data
ENV PATH=/opt/forbear/bin:$PATH PYTHONUNBUFFERED=1
USER forbear
WORKDIR /data
VOLUME /data
ENTRYPOINT ["forbear"]
CMD ["--help"]
