using Cluster.Scheduler.Jobs;

namespace Cluster.Scheduler.Tests.GrainContracts;

/// <summary>Nothing between grains may depend on sharing a reference, or on both sides being one process.</summary>
public sealed class GrainContractTests
{
    private static readonly GrainVocabulary LookAlike = new(
        typeof(Samples.IGrain),
        typeof(Samples.GenerateSerializerAttribute),
        typeof(Samples.IdAttribute),
        typeof(Samples.RegisterConverterAttribute),
        typeof(Samples.IConverter<,>));

    [Fact]
    public void EveryArgumentResultAndException_OfTheSchedulersGrains_IsAnImmutableSerializableType() =>
        new GrainContract(typeof(IJobGrain).Assembly, GrainVocabulary.Orleans).Violations().ShouldBeEmpty();

    [Fact]
    public void TheCheck_FindsTheSchedulersGrains() =>
        new GrainContract(typeof(IJobGrain).Assembly, GrainVocabulary.Orleans).GrainInterfaces.ShouldContain(typeof(IJobGrain));

    [Theory]
    [InlineData("IBadGrain.Shared(list): System.Collections.Generic.List`1[System.Int32] is neither")]
    [InlineData("IBadGrain.Shared result: System.Object is neither")]
    [InlineData("IBadGrain.Unmarked(value): Cluster.Scheduler.Tests.GrainContracts.Samples.Unmarked is neither")]
    [InlineData("IBadGrain.Changeable(value): Changeable.Count can be changed")]
    [InlineData("IBadGrain.Changeable(value): Changeable.Forgotten has no [Id(n)]")]
    [InlineData("IBadGrain.Changeable(value): Changeable.Twice has [Id(0)], as another")]
    [InlineData("IBadGrain.Nested(values) → Outer → Outer.Inner: Cluster.Scheduler.Tests.GrainContracts.Samples.Unmarked[] is neither")]
    [InlineData("IBadGrain.Nested(values) → Outer → Derived: Derived.Extra has no [Id(n)]")]
    [InlineData("IBadGrain.NoTask returns System.Int32, not a task")]
    [InlineData("BadGrain.Refuse: Cluster.Scheduler.Tests.GrainContracts.Samples.HiddenException is not [GenerateSerializer]")]
    public void TheCheck_SeesEachKindOfBreach(string breach) =>
        Samples().ShouldContain(violation => violation.Contains(breach, StringComparison.Ordinal));

    [Fact]
    public void TheCheck_LetsAGoodGrainPass() =>
        Samples().ShouldAllBe(violation => !violation.Contains("IGoodGrain", StringComparison.Ordinal));

    private static IReadOnlyList<string> Samples() => new GrainContract(typeof(Samples.IGrain).Assembly, LookAlike).Violations();
}
