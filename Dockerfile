# One image for every process of the line; the command says which.
FROM python:3.12-slim
WORKDIR /app
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY processors processors
COPY connectors connectors
COPY sinks sinks
COPY pathline pathline
# the lock file pins, the project says what of it is needed to run
RUN pip install --no-cache-dir --constraint requirements.lock .
COPY definitions /project
RUN useradd --create-home pathline && mkdir /data && chown pathline /data
USER pathline
WORKDIR /data
VOLUME /data
ENTRYPOINT ["pathline"]
CMD ["--help"]
