using System.Collections.Immutable;

namespace Cluster.Scheduler.Tests.GrainContracts.Samples;

// A look-alike of Orleans' vocabulary, and one grain for each breach of the contract.
internal interface IGrain;

[AttributeUsage(AttributeTargets.All)]
internal sealed class GenerateSerializerAttribute : Attribute;

[AttributeUsage(AttributeTargets.All)]
internal sealed class IdAttribute(uint id) : Attribute
{
    public uint Id => id;
}

[AttributeUsage(AttributeTargets.All)]
internal sealed class RegisterConverterAttribute : Attribute;

internal interface IConverter<TValue, TSurrogate>;

internal sealed class Unmarked;

[GenerateSerializer]
internal sealed class Changeable
{
    [Id(0)]
    public int Count { get; set; }

    public int Forgotten { get; init; }

    [Id(0)]
    public int Twice { get; init; }
}

[GenerateSerializer]
internal record Outer([property: Id(0)] Unmarked[] Inner);

[GenerateSerializer]
internal sealed record Derived(Unmarked[] Inner, int Extra) : Outer(Inner);

internal sealed class HiddenException : Exception;

internal interface IBadGrain : IGrain
{
    Task<object> Shared(List<int> list);

    Task Unmarked(Unmarked value);

    Task Changeable(Changeable value);

    Task Nested(ImmutableArray<Outer> values);

    int NoTask();
}

internal sealed class BadGrain : IBadGrain
{
    public Task<object> Shared(List<int> list) => Task.FromResult<object>(list);

    public Task Unmarked(Unmarked value) => Task.CompletedTask;

    public Task Changeable(Changeable value) => Task.CompletedTask;

    public async Task Nested(ImmutableArray<Outer> values)
    {
        await Task.Yield();
        _ = values.Select(value => Refuse(value)).First();
    }

    public int NoTask() => 0;

    private static Outer Refuse(Outer value) => value.Inner.Length == 0 ? throw new HiddenException() : value;
}

/// <summary>A type that has a surrogate.</summary>
internal readonly record struct Foreign(int Value);

[GenerateSerializer]
internal readonly record struct ForeignSurrogate([property: Id(0)] int Value);

[RegisterConverter]
internal sealed class ForeignConverter : IConverter<Foreign, ForeignSurrogate>;

[GenerateSerializer]
internal sealed record Good(
    [property: Id(0)] ImmutableDictionary<string, double> Values,
    [property: Id(1)] Good? Next,
    [property: Id(2)] DayOfWeek Day,
    [property: Id(3)] Foreign Foreign);

internal interface IGoodGrain : IGrain
{
    ValueTask<ImmutableArray<Good>> EchoAsync(Good good, IGoodGrain other, (int Rank, Guid Id) pair, CancellationToken cancellationToken);
}
