"""`faust -A processors.graph.app worker`: the graph on Kafka; its input has one partition, so one worker works."""

from processors.graph.step import GraphStage
from processors.runtime.worker import faust_app

app = faust_app(GraphStage)
