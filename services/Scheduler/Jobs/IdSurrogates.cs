using Cluster.Contracts;

namespace Cluster.Scheduler.Jobs;

/// <summary>Ids live in Contracts, which does not know Orleans; these carry them across grain calls.</summary>
[GenerateSerializer, Immutable, Alias("cluster.JobId")]
public readonly record struct JobIdSurrogate([property: Id(0)] Guid Value);

/// <inheritdoc cref="JobIdSurrogate"/>
[GenerateSerializer, Immutable, Alias("cluster.NodeId")]
public readonly record struct NodeIdSurrogate([property: Id(0)] Guid Value);

[RegisterConverter]
public sealed class JobIdConverter : IConverter<JobId, JobIdSurrogate>
{
    public JobId ConvertFromSurrogate(in JobIdSurrogate surrogate) => new(surrogate.Value);

    public JobIdSurrogate ConvertToSurrogate(in JobId value) => new(value.Value);
}

[RegisterConverter]
public sealed class NodeIdConverter : IConverter<NodeId, NodeIdSurrogate>
{
    public NodeId ConvertFromSurrogate(in NodeIdSurrogate surrogate) => new(surrogate.Value);

    public NodeIdSurrogate ConvertToSurrogate(in NodeId value) => new(value.Value);
}
