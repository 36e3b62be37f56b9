FROM python:3.12-slim

RUN useradd --system --create-home --uid 10001 tidegate \
    && install -d -o tidegate -g tidegate /data

WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY gateway ./gateway
COPY memory ./memory
COPY telemetry ./telemetry
COPY dashboards ./dashboards
RUN pip install --no-cache-dir -c constraints.txt .

# TIDEGATE_CONTAINER: the first start makes a key, as 0.0.0.0 may not stay open.
ENV PYTHONUNBUFFERED=1 \
    TIDEGATE_CONTAINER=1 \
    TIDEGATE_HOST=0.0.0.0 \
    TIDEGATE_DATA_DIR=/data

# A tidegate.yaml in the volume is found, because the work happens there.
WORKDIR /data
VOLUME /data
USER tidegate
EXPOSE 4000

# http.client asks directly; a proxy of the environment knows nothing of this container's loopback.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.getenv('TIDEGATE_PORT') or 4000), timeout=3); c.request('GET', '/health/live'); sys.exit(c.getresponse().status != 200)"]

ENTRYPOINT ["python", "-m", "gateway"]
CMD ["serve"]
