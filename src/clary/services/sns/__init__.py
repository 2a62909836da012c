"""Amazon SNS: topics, subscriptions, and messages that are kept until they are delivered."""

from clary.services.operation import Operations
from clary.services.sns import publishing, subscribing, subscription_listings, tags, topic_policies, topics
from clary.services.sns.subscriptions import RECONCILERS

OPERATIONS = Operations()
for _part in (topics, topic_policies, tags, subscribing, subscription_listings, publishing):
    OPERATIONS.include(_part.operations)

__all__ = ["OPERATIONS", "RECONCILERS"]
