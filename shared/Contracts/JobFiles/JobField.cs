using System.Collections;
using System.Globalization;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;
using JobSpec = Cluster.Contracts.V1.JobSpec;

namespace Cluster.Contracts.JobFiles;

/// <summary>One key of a job file that holds a value: where it goes in <see cref="JobSpec"/>, its default and its range.</summary>
/// <remarks>A field's default is a function of the spec as filled so far, since some follow from others (the order of
/// <see cref="JobFields.All"/> sees to it that those are filled first).</remarks>
internal sealed record JobField
{
    /// <summary>"hyperparameters.optimizer.learningRate": the proto's field names in camelCase.</summary>
    public required string Path { get; init; }

    /// <summary>What it may be, in words that follow "must be": "more than 0".</summary>
    public required string Range { get; init; }

    /// <summary>The default in words, for help; "required" where there is none.</summary>
    public required string DefaultText { get; init; }

    public required string Meaning { get; init; }

    public required Func<JobSpec, object?> Default { get; init; }

    public required Func<object, bool> Accepts { get; init; }

    /// <summary>What to write instead of a value of the right type, or instead of one of another type (null).</summary>
    public required Func<object?, string> Remedy { get; init; }

    /// <summary>False where the other choices of the job leave this one without effect: then nothing may be given.</summary>
    public Func<JobSpec, bool> AppliesTo { get; init; } = _ => true;

    /// <summary>"optimizer sgd": what the field belongs to, where <see cref="AppliesTo"/> can be false.</summary>
    public string? BelongsTo { get; init; }

    /// <summary>
    /// A received zero counts as not given even where its message is present: for a field that came later than its message's others, whose
    /// range has no zero.
    /// </summary>
    public bool ZeroIsAbsent { get; init; }

    private IReadOnlyList<FieldDescriptor> Steps => field ??= Resolve(Path);

    public FieldDescriptor Descriptor => Steps[^1];

    /// <summary>The message that holds the field, made if absent.</summary>
    public IMessage Holder(JobSpec spec)
    {
        IMessage holder = spec;
        foreach (var step in Steps.SkipLast(1))
        {
            if (step.Accessor.GetValue(holder) is not IMessage inner)
            {
                inner = step.MessageType.Parser.ParseFrom(ByteString.Empty);
                step.Accessor.SetValue(holder, inner);
            }

            holder = inner;
        }

        return holder;
    }

    /// <summary>False if a message on the way to the field is absent.</summary>
    public bool HolderIsPresent(JobSpec spec)
    {
        IMessage? holder = spec;
        foreach (var step in Steps.SkipLast(1))
            holder = holder is null ? null : (IMessage?)step.Accessor.GetValue(holder);
        return holder is not null;
    }

    /// <summary>The list, of a field that <see cref="JobFields.OfEntries"/> has.</summary>
    public string List => Path[..Path.IndexOf('.', StringComparison.Ordinal)];

    /// <summary>The entries of <see cref="List"/>, each of which holds the field.</summary>
    public IEnumerable<IMessage> Entries(JobSpec spec) => ((IEnumerable)Steps[0].Accessor.GetValue(spec)).Cast<IMessage>();

    public object? Get(JobSpec spec) => Descriptor.Accessor.GetValue(Holder(spec));

    public void Set(JobSpec spec, object value) => Descriptor.Accessor.SetValue(Holder(spec), value switch
    {
        long whole when Descriptor.FieldType == FieldType.Int32 => checked((int)whole),
        _ => value,
    });

    /// <summary>Whether a value is what proto3 takes for "nothing said".</summary>
    public static bool IsUnset(object? value) => value switch
    {
        null => true,
        string text => text.Length == 0,
        bool flag => !flag,
        System.Enum choice => Convert.ToInt32(choice, CultureInfo.InvariantCulture) == 0,
        Duration => false,
        IConvertible number => number.ToDouble(CultureInfo.InvariantCulture) == 0,
        _ => false,
    };

    /// <summary>A value as a job file writes it, without the quotes that YAML may need.</summary>
    public string Text(object value) => value switch
    {
        bool flag => flag ? "true" : "false",
        double number => number.ToString("R", CultureInfo.InvariantCulture),
        Duration duration => DurationText.Write(duration),
        System.Enum choice => EnumWord(Convert.ToInt32(choice, CultureInfo.InvariantCulture)),
        IFormattable other => other.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString()!,
    };

    /// <summary>The enum's words in order, "float32", without proto's prefix and without UNSPECIFIED.</summary>
    public IEnumerable<(string Word, int Number)> EnumWords => Descriptor.EnumType.Values
        .Where(value => value.Number != 0)
        .Select(value => (value.Name[(value.Name.LastIndexOf('_') + 1)..].ToLowerInvariant(), value.Number));

    private string EnumWord(int number) =>
        EnumWords.Where(pair => pair.Number == number).Select(pair => pair.Word).FirstOrDefault()
        ?? number.ToString(CultureInfo.InvariantCulture);

    private static List<FieldDescriptor> Resolve(string path)
    {
        var steps = new List<FieldDescriptor>();
        var message = JobSpec.Descriptor;
        foreach (var key in path.Split('.'))
        {
            steps.Add(message.Fields.InDeclarationOrder().FirstOrDefault(candidate => candidate.JsonName == key)
                ?? throw new InvalidOperationException($"JobSpec has no field {path}"));
            message = steps[^1].FieldType == FieldType.Message ? steps[^1].MessageType : message;
        }

        return steps;
    }
}
