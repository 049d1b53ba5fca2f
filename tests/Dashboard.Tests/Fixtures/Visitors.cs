namespace Cluster.Dashboard.Tests.Fixtures;

/// <summary>Tests that share a dashboard and a browser: none of them stops anything.</summary>
[CollectionDefinition]
public sealed class Visitors : ICollectionFixture<Visitor>;
