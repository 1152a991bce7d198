"""`faust -A processors.identity.app worker`: the resolver on Kafka."""

from processors.identity.step import IdentityStage
from processors.runtime.worker import faust_app

app = faust_app(IdentityStage)
