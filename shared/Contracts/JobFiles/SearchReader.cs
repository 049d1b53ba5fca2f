using Cluster.Contracts.Catalog;
using Cluster.Search;
using Cluster.Search.Space;

namespace Cluster.Contracts.JobFiles;

/// <summary>Reads <c>searcher</c> of an experiment's file, and what it is to choose.</summary>
internal sealed class SearchReader
{
    public const string Key = "searcher";

    /// <summary>How long a trial may train, which no search can choose since its rungs follow from it.</summary>
    public const string Length = "hyperparameters.epochs";

    private const int DefaultConcurrent = 16, DefaultRungs = 5, DefaultDivisor = 4;

    private static readonly string[] Names = ["grid", "random", "asha"];

    private static readonly string[] Metrics = [MetricNames.ValidationAccuracy, MetricNames.ValidationLoss];

    private static readonly string[] CommonKeys =
        ["name", "metric", "smallerIsBetter", "maxTrials", "maxConcurrent", "seed"];

    private static readonly string[] AshaKeys = ["maxRungs", "divisor", "stopOnce"];

    private readonly List<JobFileViolation> _faults = [];
    private readonly YamlMapping _searcher;
    private readonly string _name;

    private SearchReader(YamlMapping searcher)
    {
        _searcher = searcher;
        _name = Word("name", Names, null);
    }

    /// <param name="document">The whole file, which has a <c>searcher</c>.</param>
    /// <exception cref="JobFileException">It describes no search.</exception>
    public static SearchPlan Read(YamlMapping document)
    {
        var value = document.Value(Key)!;
        var reader = new SearchReader(value switch
        {
            YamlMapping mapping => mapping,
            YamlScalar { IsNull: false } name => new YamlMapping([new YamlEntry("name", name.Line, name)], name.Line),
            _ => throw new JobFileException(
                [new(Key, YamlTree.Describe(value), "must be a mapping", "write {name: random, maxTrials: 16}", value.Line)]),
        });
        var plan = reader.ReadPlan(document);
        return reader._faults.Count == 0 ? plan! : throw new JobFileException(reader._faults.OrderBy(fault => fault.Line));
    }

    private SearchPlan? ReadPlan(YamlMapping document)
    {
        RefuseUnknownKeys();
        var kind = _name switch { "grid" => SearcherKind.Grid, "random" => SearcherKind.Random, _ => SearcherKind.Asha };
        var space = ReadSpace(document, kind);
        var metric = Word("metric", Metrics, MetricNames.ValidationAccuracy);
        var smallerIsBetter = Flag("smallerIsBetter", metric == MetricNames.ValidationLoss);
        var gridSize = kind == SearcherKind.Grid ? space.GridSize : int.MaxValue;
        var wholeGrid = kind == SearcherKind.Grid ? Math.Min(gridSize, SearchPlan.MostTrials) : (int?)null;
        var maxTrials = (int)Whole("maxTrials", 1, SearchPlan.MostTrials, wholeGrid);
        var maxConcurrent = (int)Whole("maxConcurrent", 1, SearchPlan.MostTrials, DefaultConcurrent);
        var seed = (ulong)Whole("seed", 0, long.MaxValue, 1);
        var maxRungs = (int)Whole("maxRungs", 1, 20, DefaultRungs);
        var divisor = Whole("divisor", 2, 100, DefaultDivisor);
        var stopOnce = Flag("stopOnce", byDefault: false);
        if (_faults.Count > 0)
            return null;

        if (kind == SearcherKind.Grid && Given("maxTrials") is null && gridSize > SearchPlan.MostTrials)
        {
            AddGiven("maxTrials", null, $"is missing and the grid has {gridSize} combinations",
                $"use {SearchPlan.MostTrials} or less, or fewer values");
        }

        var shared = document with { Entries = [.. document.Entries.Where(entry => !ExperimentFile.IsOwnKey(entry.Key))] };
        if (Epochs(shared) is not { } epochs)
            return null;
        var rungs = SearchPolicy.RungsFor(epochs, kind == SearcherKind.Asha ? maxRungs : 1, divisor);
        var policy = new SearchPolicy(kind, smallerIsBetter, rungs, divisor, stopOnce, gridSize);
        return new SearchPlan(policy, new SearchLimits(maxTrials, maxConcurrent), space, metric, seed) { Shared = shared };
    }

    private SearchSpace ReadSpace(YamlMapping document, SearcherKind kind)
    {
        var space = new SpaceReader(_faults, needsCounts: kind == SearcherKind.Grid).Read(document);
        foreach (var key in (string[])[ExperimentFile.Variants, ExperimentFile.Array])
        {
            if (document.Value(key) is not { } given)
                continue;
            _faults.Add(new(key, null, $"is given beside {Key}, which makes the variants itself",
                $"keep one of the two, or list the values under {ExperimentFile.Matrix}", given.Line));
        }

        if (space.Dimensions.IsEmpty && _faults.Count == 0)
        {
            AddGiven("name", _name, "nothing in the file is left to choose",
                "give a hyperparameter as {type: log, minval: -4, maxval: -1, base: 10} or {type: categorical, vals: [32, 64]}");
        }

        return space;
    }

    private int? Epochs(YamlMapping shared)
    {
        var field = JobFields.All.Single(candidate => candidate.Path == Length);
        if ((shared.Value("hyperparameters") as YamlMapping)?.Value("epochs") is not { } given)
            return (int)(long)field.Default(new V1.JobSpec())!;
        if (given is YamlScalar scalar && YamlValue.As(field, scalar) is { } epochs && field.Accepts(epochs))
            return (int)(long)epochs;
        _faults.Add(new(field.Path, YamlTree.Describe(given), $"must be {field.Range}, the same for all trials of a search",
            field.Remedy(null), given.Line));
        return null;
    }

    private void RefuseUnknownKeys()
    {
        foreach (var entry in _searcher.Entries)
        {
            if (CommonKeys.Contains(entry.Key) || (_name == "asha" && AshaKeys.Contains(entry.Key)))
                continue;
            var known = _name == "asha" ? [.. CommonKeys, .. AshaKeys] : CommonKeys;
            var isOther = AshaKeys.Contains(entry.Key) && _name.Length > 0;
            _faults.Add(new($"{Key}.{JobFileViolation.Shown(entry.Key)}", YamlTree.Describe(entry.Value),
                isOther ? "belongs to searcher asha only" : "no such key exists",
                isOther ? "remove it" : NearestName.Of(entry.Key, known) is { } near ? $"did you mean {Key}.{near}?"
                    : $"the keys here are {string.Join(", ", known)}",
                entry.Line));
        }
    }

    private YamlTree? Given(string key) => _searcher.Value(key);

    /// <param name="byDefault">Null: it must be given.</param>
    private string Word(string key, string[] known, string? byDefault)
    {
        var given = Given(key);
        if (given is YamlScalar { IsNull: false } scalar && known.Contains(scalar.Text))
            return scalar.Text;
        if (given is null && byDefault is not null)
            return byDefault;
        var text = (given as YamlScalar)?.Text ?? "";
        Add(key, given, given is null ? "is missing" : $"must be {string.Join(" or ", known)}",
            NearestName.Of(text, known) is { } near ? $"did you mean {near}?" : $"use {string.Join(" or ", known)}");
        return byDefault ?? "";
    }

    private long Whole(string key, long min, long max, long? byDefault)
    {
        var given = Given(key);
        if (given is null && byDefault is { } value)
            return value;
        if (given is YamlScalar scalar && YamlValue.AsWhole(scalar) is { } whole && whole >= min && whole <= max)
            return whole;
        Add(key, given, given is null ? "is missing" : $"must be a whole number from {min} to {max}",
            $"write a number such as {byDefault ?? 16}");
        return byDefault ?? min;
    }

    private bool Flag(string key, bool byDefault)
    {
        var given = Given(key);
        if (given is null)
            return byDefault;
        if (given is YamlScalar scalar && YamlValue.AsFlag(scalar) is { } flag)
            return flag;
        Add(key, given, "must be true or false", "use true or false");
        return byDefault;
    }

    private void Add(string key, YamlTree? given, string problem, string remedy) =>
        _faults.Add(new($"{Key}.{key}", given is null ? null : YamlTree.Describe(given), problem, remedy, given?.Line ?? _searcher.Line));

    private void AddGiven(string key, string? value, string problem, string remedy) =>
        _faults.Add(new($"{Key}.{key}", value, problem, remedy, Given(key)?.Line ?? _searcher.Line));
}
