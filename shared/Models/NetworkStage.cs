using static TorchSharp.torch;

namespace Cluster.Models;

/// <summary>
/// Consecutive units of a net as a net of their own: (N, …) as the unit before them gives it → (N, …), or logits where they are the last.
/// </summary>
/// <remarks>
/// Parameters and buffers have their names in the whole net and the values that it was built with; those of other units are freed.
/// </remarks>
public sealed class NetworkStage : ImageClassifier
{
    private readonly ImageClassifier whole; // of which the units are; kept because they use its fields
    private readonly IReadOnlyList<NetworkUnit> units;

    /// <param name="whole">A sequence of units. Belongs to the stage from here on.</param>
    /// <param name="firstUnit">From 0.</param>
    /// <param name="count">Units held here.</param>
    public NetworkStage(ImageClassifier whole, int firstUnit, int count)
        : base(whole.GetName(), whole.Shape, whole.Position)
    {
        this.whole = whole;
        var all = whole.Units;
        units = [.. all.Skip(firstUnit).Take(count)];
        if (units.Count != count || count == 0)
            throw new ArgumentOutOfRangeException(
                nameof(count), count, $"{whole.GetName()} has {all.Count} units, which leaves none or too few from unit {firstUnit} on");
        ParameterCount = whole.ParameterCount;
        var names = StateNames(whole).ToList();
        var modules = whole.named_modules().ToDictionary(m => m.name, m => m.module);
        foreach (var name in units.SelectMany(unit => unit.Modules))
            Register(name, modules[name]);
        foreach (var name in all.Except(units).SelectMany(unit => unit.Modules))
            modules[name].Dispose();
        HeldElsewhere = names.Except(StateNames(this)).ToHashSet(StringComparer.Ordinal);
    }

    /// <inheritdoc/>
    public override IReadOnlySet<string> HeldElsewhere { get; }

    /// <inheritdoc/>
    public override long ParameterCount { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<NetworkUnit> Units => units;

    /// <inheritdoc/>
    public override Tensor forward(Tensor input) => NetworkUnit.Run(units, input);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
            whole.Dispose();
    }

    private static IEnumerable<string> StateNames(ImageClassifier network) =>
        network.named_parameters().Select(p => p.name).Concat(network.Buffers().Select(b => b.Name));

    /// <summary>Under a dotted name, each part of which but the last becomes a module without content.</summary>
    private void Register(string name, nn.Module module)
    {
        nn.Module parent = this;
        var path = name.Split('.');
        foreach (var part in path.SkipLast(1))
        {
            if (parent.named_children().FirstOrDefault(child => child.name == part).module is not { } next)
                parent.register_module(part, next = new Branch(part));
            parent = next;
        }

        parent.register_module(path[^1], module);
    }

    private sealed class Branch(string name) : nn.Module(name);
}
