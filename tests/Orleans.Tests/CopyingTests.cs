using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Collections.ObjectModel;
using Cluster.Orleans.Tests.Support;
using Orleans;
using Orleans.Serialization;

namespace Cluster.Orleans.Tests;

[GenerateSerializer]
internal sealed record Shape([property: Id(0)] int Rows, [property: Id(1)] ImmutableArray<int> Strides);

[GenerateSerializer]
internal sealed record Positional(string Name, Shape? Shape)
{
    [Id(0)]
    public required string[] Tags { get; init; }
}

[GenerateSerializer]
internal class Box
{
    [Id(0)]
    public List<string> Items { get; set; } = [];

    [Id(1)]
    public Box? Next { get; set; }

    [NonSerialized]
    public string? Scratch;
}

[GenerateSerializer]
internal sealed class LabelledBox : Box
{
    [Id(0)]
    public string Label { get; set; } = "";
}

[GenerateSerializer]
internal readonly record struct NodeKey([property: Id(0)] Guid Value);

/// <summary>A type that cannot be annotated, say of a library.</summary>
internal sealed class Foreign(string text, List<int> numbers)
{
    public string Text => text;

    public List<int> Numbers => numbers;
}

[GenerateSerializer]
internal readonly record struct ForeignSurrogate([property: Id(0)] string Text, [property: Id(1)] List<int> Numbers);

[RegisterConverter]
internal sealed class ForeignConverter : IConverter<Foreign, ForeignSurrogate>
{
    public Foreign ConvertFromSurrogate(in ForeignSurrogate surrogate) => new(surrogate.Text, surrogate.Numbers);

    public ForeignSurrogate ConvertToSurrogate(in Foreign value) => new(value.Text, value.Numbers);
}

internal sealed class Unmarked;

[GenerateSerializer]
internal sealed class Forgetful
{
    [Id(0)]
    public int Kept { get; set; }

    public int Dropped { get; set; }
}

[GenerateSerializer]
internal sealed class Clashing
{
    [Id(3)]
    public int A { get; set; }

    [Id(3)]
    public int B { get; set; }
}

internal class Base
{
    public int Value { get; set; }
}

[GenerateSerializer]
internal sealed class DerivedOfUnmarked : Base;

[GenerateSerializer]
internal sealed record Envelope([property: Id(0)] object? Content);

internal interface IKeeperGrain : IGrainWithIntegerKey
{
    Task KeepAsync(List<string> items);

    Task<List<string>> GiveAsync();

    Task<IKeeperGrain> SelfAsync(bool asReference);

    Task<object> UnmarkedAsync();
}

internal sealed class KeeperGrain : Grain, IKeeperGrain
{
    private List<string> _items = [];

    public Task KeepAsync(List<string> items)
    {
        _items = items;
        return Task.CompletedTask;
    }

    public Task<List<string>> GiveAsync() => Task.FromResult(_items);

    public Task<IKeeperGrain> SelfAsync(bool asReference) => Task.FromResult(asReference ? this.AsReference<IKeeperGrain>() : this);

    public Task<object> UnmarkedAsync() => Task.FromResult<object>(new Unmarked());
}

public sealed class CopyingTests
{
    [Fact]
    public async Task ArgumentsAndResults_AreNotShared()
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<IKeeperGrain>(1);
        List<string> mine = ["a"];

        await grain.KeepAsync(mine);
        mine.Add("b");
        var given = await grain.GiveAsync();
        given.Add("c");

        (await grain.GiveAsync()).ShouldBe(["a"]);
    }

    public static TheoryData<object> Values() =>
    [
        1, 2.5, 3m, "text", 'c', true, DayOfWeek.Friday, Guid.NewGuid(), DateTimeOffset.UnixEpoch, TimeSpan.FromSeconds(1), DateOnly.MaxValue,
        new Uri("http://localhost:7070"), new Version(1, 2), System.Net.IPAddress.Loopback, (Half)1, typeof(int),
        new[] { 1, 2 }, new[] { "a", null }, new List<Guid> { Guid.Empty }, new HashSet<string>(StringComparer.OrdinalIgnoreCase) { "A" },
        new Dictionary<string, int[]> { ["a"] = [1, 2] }, new SortedDictionary<int, string> { [2] = "b", [1] = "a" }, new SortedSet<int> { 2, 1 },
        new Queue<int>([1, 2]), new Stack<int>([1, 2]), new ReadOnlyCollection<int>([1]), new ReadOnlyDictionary<int, int>(new Dictionary<int, int> { [1] = 2 }),
        ImmutableArray.Create(1, 2), default(ImmutableArray<int>), ImmutableList.Create("a"), ImmutableHashSet.Create(1), ImmutableSortedSet.Create(2, 1),
        ImmutableDictionary<string, int>.Empty.Add("a", 1), ImmutableSortedDictionary<string, int>.Empty.Add("a", 1),
        new[] { 1 }.ToFrozenSet(), new Dictionary<int, int> { [1] = 1 }.ToFrozenDictionary(),
        (1, "a"), Tuple.Create(1, "a"), KeyValuePair.Create(1, "a"), (1, 2, 3, 4, 5, 6, 7, 8, "nine"),
        new NodeKey(Guid.NewGuid()), new Shape(3, [1, 2]), new Positional("p", new Shape(1, [])) { Tags = ["x"] },
    ];

    [Theory]
    [InlineData(null)]
    [MemberData(nameof(Values), DisableDiscoveryEnumeration = true)]
    public async Task Value_ComesBackAsItWasSent(object? value)
    {
        await using var silo = await TestSilo.StartAsync();

        var copy = await silo.Grains.GetGrain<ICalleeGrain>(1).EchoAsync(value);

        copy?.GetType().ShouldBe(value?.GetType());
        Print(copy).ShouldBe(Print(value));
    }

    // Everything that a value holds, as text.
    private static string? Print(object? value) => value switch
    {
        ImmutableArray<int> { IsDefault: true } => "default",
        string text => text,
        System.Collections.IEnumerable items => $"[{string.Join(", ", items.Cast<object?>().Select(Print))}]",
        Shape shape => $"{shape.Rows} {Print(shape.Strides)}",
        Positional positional => $"{positional.Name} {Print(positional.Shape)} {Print(positional.Tags)}",
        KeyValuePair<string, int[]> pair => $"{pair.Key} {Print(pair.Value)}",
        _ => value?.ToString(),
    };

    [Fact]
    public async Task Graph_KeepsItsShape_AndDerivedTypes_AndNothingNonSerialized()
    {
        await using var silo = await TestSilo.StartAsync();
        var box = new LabelledBox { Label = "l", Items = ["i"], Scratch = "s" };
        box.Next = new Box { Next = box, Items = box.Items };

        var copy = await silo.Grains.GetGrain<ICalleeGrain>(1).EchoAsync<Box>(box);

        var labelled = copy.ShouldBeOfType<LabelledBox>();
        labelled.ShouldNotBeSameAs(box);
        labelled.Label.ShouldBe("l");
        labelled.Scratch.ShouldBeNull();
        labelled.Next!.Next.ShouldBeSameAs(labelled);
        labelled.Next.Items.ShouldBeSameAs(labelled.Items);
        labelled.Items.ShouldNotBeSameAs(box.Items);
    }

    [Fact]
    public async Task TypeWithASurrogate_IsCopiedThroughIt()
    {
        await using var silo = await TestSilo.StartAsync();
        var numbers = new List<int> { 1, 2 };

        var copy = await silo.Grains.GetGrain<ICalleeGrain>(1).EchoAsync(new Foreign("t", numbers));

        copy.Text.ShouldBe("t");
        copy.Numbers.ShouldBe(numbers);
        copy.Numbers.ShouldNotBeSameAs(numbers);
    }

    public static TheoryData<object, string> Refused() => new()
    {
        { new Unmarked(), "Unmarked cannot cross a grain call: mark it [GenerateSerializer]" },
        { new Forgetful(), "Forgetful.Dropped has no [Id(n)]" },
        { new Clashing(), "has [Id(3)], which another member" },
        { new DerivedOfUnmarked(), "Base, a base of" },
        { new Envelope(new List<object> { new Unmarked() }), "ICalleeGrain/EchoAsync, argument 'value': Envelope.Content" },
        { new[] { 1 }.Select(x => x), "end it with ToArray()" },
        { (IReadOnlyList<int>)[1, 2, 3], "collection expression" },
        { new Envelope(CancellationToken.None), "argument of its own" },
        { new Func<int>(() => 1), "mark it [GenerateSerializer]" },
        { new SortedSet<int>(Comparer<int>.Create((a, b) => b - a)) { 1 }, "comparer of one's own" },
        { new MemoryStream(), "MemoryStream cannot cross" },
    };

    [Theory]
    [MemberData(nameof(Refused), DisableDiscoveryEnumeration = true)]
    public async Task ValueThatCannotBeSerialized_IsRefused_NamingTypeAndMember(object value, string message)
    {
        await using var silo = await TestSilo.StartAsync();

        var exception = await Should.ThrowAsync<CodecNotFoundException>(silo.Grains.GetGrain<ICalleeGrain>(1).EchoAsync(value));

        exception.Message.ShouldContain(message);
        exception.Message.ShouldContain("argument 'value'");
    }

    [Fact]
    public async Task ResultThatCannotBeSerialized_IsRefused()
    {
        await using var silo = await TestSilo.StartAsync();

        var exception = await Should.ThrowAsync<CodecNotFoundException>(silo.Grains.GetGrain<IKeeperGrain>(1).UnmarkedAsync());

        exception.Message.ShouldContain("IKeeperGrain/UnmarkedAsync, result");
    }

    [Fact]
    public async Task Grain_IsHandedOutAsAReference_NeverAsItself()
    {
        await using var silo = await TestSilo.StartAsync();
        var grain = silo.Grains.GetGrain<IKeeperGrain>(1);
        await grain.KeepAsync(["kept"]);

        var handed = await grain.SelfAsync(asReference: true);

        handed.ShouldBe(grain);
        (await handed.GiveAsync()).ShouldBe(["kept"]);
        (await Should.ThrowAsync<CodecNotFoundException>(grain.SelfAsync(asReference: false))).Message.ShouldContain("AsReference");
    }
}
