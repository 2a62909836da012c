"""Options that are accepted, kept and shown, and change nothing for what runs: each with the reason why that is true
to what was asked for, or what is missing. Kept by hand: no code can say why it does nothing."""

from __future__ import annotations

# (service, operation) -> member path -> reason. A test holds every path to botocore's model.
RECORDED: dict[tuple[str, str], dict[str, str]] = {
    ("sagemaker", "CreateTrainingJob"): {
        "ResourceConfig.VolumeSizeInGB": "Bounds what a job may leave in /opt/ml/model and in "
        "/opt/ml/output/data, each. The disk is the machine's, and no quota is set on it.",
        "ResourceConfig.InstanceType": "Bounds the job's memory and is shown to it. Cores are shared, not reserved; "
        "of a GPU type the job sees no GPU.",
        "AlgorithmSpecification.EnableSageMakerMetricsTimeSeries": "SDK v2's classes for frameworks send it. Last "
        "values are in FinalMetricDataList; what reads the series, BatchGetMetrics, is not built.",
        "EnableInterContainerTrafficEncryption": "All of a job is on one machine: its traffic never meets a wire.",
        "DebugHookConfig.S3OutputPath": "The SDKs send it with every job. No environment has the debugger's hook.",
        "DebugHookConfig.LocalPath": "As S3OutputPath.",
        "ProfilerConfig.S3OutputPath": "The SDKs send it with every job. No system profile is made; "
        "ProfilingStatus says Disabled.",
        "ProfilerConfig.ProfilingIntervalInMilliseconds": "As S3OutputPath.",
    },
    ("sagemaker", "UpdateTrainingJob"): {
        "ProfilerConfig": "Only with DisableProfiler: there is no profiler that could go on.",
    },
    ("sagemaker", "CreateEndpointConfig"): {
        "ProductionVariants[].VolumeSizeInGB": "A label: the disk is the machine's.",
        "ProductionVariants[].InstanceType": "Bounds the memory of an instance. Cores are shared, not reserved.",
        "DataCaptureConfig": "Only where EnableCapture is false, which asks for nothing.",
    },
    ("logs", "PutLogEvents"): {"sequenceToken": "AWS takes no notice of it any more either."},
    ("logs", "GetLogEvents"): {"unmask": "Nothing is masked: there are no data protection policies."},
    ("logs", "FilterLogEvents"): {
        "interleaved": "AWS takes no notice of it any more either.",
        "unmask": "Nothing is masked: there are no data protection policies.",
    },
    ("s3", "PutObject"): {
        "StorageClass": "Every object is kept on the same disk; the class is stored and listed.",
        "RequestPayer": "Nobody pays.",
    },
    ("s3", "RestoreObject"): {
        "RestoreRequest.GlacierJobParameters": "A restoration is over at once, whatever the tier.",
        "RestoreRequest.Tier": "As GlacierJobParameters.",
        "RestoreRequest.Description": "Of a selection from an archive, which is not built.",
    },
    ("s3", "PutBucketLifecycleConfiguration"): {
        "LifecycleConfiguration.Rules[].Transitions[].StorageClass": "As in PutObject; what is shown changes.",
        "LifecycleConfiguration.Rules[].NoncurrentVersionTransitions[].StorageClass": "As in Transitions.",
    },
    ("sns", "Publish"): {
        "MessageGroupId": "Of a topic that is no FIFO topic only SQS takes notice of it, and there is no SQS here.",
    },
    ("sns", "PublishBatch"): {"PublishBatchRequestEntries[].MessageGroupId": "As in Publish."},
    ("iam", "CreateOpenIDConnectProvider"): {
        "ThumbprintList": "An issuer's certificate is checked against the machine's authorities, as AWS does it first.",
    },
    ("iam", "UpdateOpenIDConnectProviderThumbprint"): {"ThumbprintList": "As in CreateOpenIDConnectProvider."},
    ("sts", "DecodeAuthorizationMessage"): {
        "EncodedMessage": "No service here encodes its denials, so whatever is brought is refused, as AWS refuses what "
        "it did not make.",
    },
}
