using System.Collections.Immutable;
using System.Globalization;
using Cluster.Contracts.V1;
using Cluster.Search;
using Cluster.Search.Space;

namespace Cluster.Contracts.JobFiles;

/// <summary>A search as an experiment's file describes it.</summary>
/// <param name="Metric">One of <see cref="MetricNames"/>, measured at the end of an epoch.</param>
/// <param name="Seed">All that is drawn follows from it.</param>
public sealed record SearchPlan(SearchPolicy Policy, SearchLimits Limits, SearchSpace Space, string Metric, ulong Seed)
{
    /// <summary>No page can show more of them, and a search's state goes to the store with each decision.</summary>
    public const int MostTrials = 1000;

    // A trial's name shows so much of its settings; the job's description has all of them.
    private const int LongestName = 100;

    // What a scheduler lets not everybody ask for: a place in the line, and with whose weights a job begins.
    private static readonly Dictionary<string, Action<JobSpec, string>> Claimed = new(StringComparer.Ordinal)
    {
        ["priority"] = (spec, text) => spec.Priority = double.TryParse(text, CultureInfo.InvariantCulture, out var priority)
            ? (int)Math.Clamp(Math.Ceiling(priority), int.MinValue, int.MaxValue)
            : 0,
        ["queue"] = (spec, text) => spec.Queue = text,
        ["initFrom.job"] = (spec, text) => spec.InitFrom = new InitFrom { Job = text },
        ["initFrom.checkpoint"] = (spec, text) => spec.InitFrom = new InitFrom { Checkpoint = text },
    };

    /// <summary>The file without what makes it a search.</summary>
    internal YamlMapping Shared { get; init; } = new([], Line: 0);

    /// <summary>A trial's name and job, whichever trials there are beside it.</summary>
    /// <param name="trial">From 0.</param>
    /// <exception cref="JobFileException">No job can have the settings that it was drawn.</exception>
    public ExperimentMember Trial(int trial) => ExperimentFile.Member(NameOf(trial), Spec(trial));

    /// <summary>
    /// What its trials may come to ask for that not everybody may, one thing at a time: most of them are made long after it was submitted,
    /// when nobody is there to be refused. Of a range its ends.
    /// </summary>
    /// <param name="trial">Any of them, in which that is put.</param>
    public IEnumerable<JobSpec> Claims(JobSpec trial)
    {
        foreach (var (path, dimension) in Space.Dimensions.Where(each => Claimed.ContainsKey(each.Key)))
        {
            var values = dimension is ConstDimension or CategoricalDimension
                ? dimension.Grid()
                : [dimension.At(0), dimension.At(Math.BitDecrement(1.0))];
            foreach (var value in values)
            {
                var claim = trial.Clone();
                Claimed[path](claim, value.Text);
                yield return claim;
            }
        }
    }

    /// <summary>"3 learningRate=0.01,activation=relu".</summary>
    internal string NameOf(int trial)
    {
        var text = $"{trial} {SettingPath.Names(SettingsOf(trial).Select(setting => (setting.Path, setting.Value.Text)))}";
        return text[..Math.Min(text.Length, LongestName)];
    }

    /// <summary>Named as the experiment is.</summary>
    /// <inheritdoc cref="Trial"/>
    internal JobSpec Spec(int trial)
    {
        try
        {
            return JobFile.ReadMarked(SettingsOf(trial).Aggregate(Shared, (document, setting) => SettingPath.Put(document, new YamlEntry(
                setting.Path, Shared.Line, new YamlScalar(setting.Value.Text, IsPlain: !setting.Value.IsText, Shared.Line)))));
        }
        catch (JobFileException wrong)
        {
            throw new JobFileException(wrong.Violations.Select(fault => fault with { Variant = NameOf(trial) }));
        }
    }

    private ImmutableArray<Setting> SettingsOf(int trial) =>
        Policy.Kind == SearcherKind.Grid ? Space.GridPoint(trial) : Space.Sample(Seed, trial);

    /// <summary>What of the job's own fields would keep it from being a trial.</summary>
    internal IEnumerable<JobFileViolation> Faults(JobSpec spec)
    {
        if (!spec.IsTraining())
            yield return new("task", spec.Task.Name, "a search compares trainings", "leave task out");
        else if (spec.Data.ValidationSamples == 0 && !JobFields.IsFolder(spec))
            yield return new($"{SearchReader.Key}.metric", Metric, "data.validationSamples is 0", "set validation samples aside");
        if (spec.Hyperparameters.MaxSteps > 0)
        {
            yield return new("hyperparameters.maxSteps", $"{spec.Hyperparameters.MaxSteps}", "a search counts in whole epochs",
                "leave it out and set hyperparameters.epochs");
        }
    }
}
