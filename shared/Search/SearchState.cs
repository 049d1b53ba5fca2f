using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Cluster.Search;

/// <summary>Where a trial stands.</summary>
public enum TrialPhase
{
    /// <summary>It trains to its rung, or waits for a device to.</summary>
    Training,

    /// <summary>It has come to its rung, and better ones are before it.</summary>
    Paused,

    /// <summary>It is to train to its rung as soon as no more than the limit do at once.</summary>
    Promoted,

    /// <summary>It has trained to the end.</summary>
    Completed,

    /// <summary>It is over before the end, since others are better.</summary>
    Stopped,

    /// <summary>It failed, diverged or was cancelled: at its rung it counts as the worst.</summary>
    Failed,

    /// <summary>It could not train with its settings, and counts nowhere.</summary>
    Invalid,
}

/// <param name="Rung">That it trains to or has come to, from 0.</param>
public sealed record TrialStanding(int Rung, TrialPhase Phase);

/// <param name="Score">Its metric there, turned so that less is better.</param>
public sealed record RungEntry(int Trial, double Score, bool IsPromoted);

/// <summary>All that a search has to know to go on.</summary>
/// <param name="Lengths">Of each rung.</param>
/// <param name="Trials">By their numbers.</param>
/// <param name="Rungs">Of each rung the trials that have come to it, the best first.</param>
/// <param name="Promoted">Trials that are to train on, in the order in which they were promoted.</param>
public sealed record SearchState(
    SearchLimits Limits, ImmutableArray<int> Lengths, ImmutableArray<TrialStanding> Trials,
    ImmutableArray<ImmutableArray<RungEntry>> Rungs, ImmutableArray<int> Promoted, bool IsClosed)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { Converters = { new JsonStringEnumConverter() } };

    /// <summary>The best at the longest length that any has come to; null before the first.</summary>
    [JsonIgnore]
    public BestEntry? Best => Lengths.Zip(Rungs).Reverse()
        .SelectMany(rung => rung.Second.Take(1).Select(first => new BestEntry(first.Trial, first.Score, rung.First)))
        .FirstOrDefault(first => first.Score < HyperparameterSearch.Worst);

    public string Write() => JsonSerializer.Serialize(this, Json);

    public static SearchState Read(string text) =>
        JsonSerializer.Deserialize<SearchState>(text, Json) ?? throw new FormatException("the state of a search is null");
}

/// <param name="Score">Its metric there, turned so that less is better.</param>
/// <param name="Length">That it had trained, in epochs.</param>
public sealed record BestEntry(int Trial, double Score, int Length);
