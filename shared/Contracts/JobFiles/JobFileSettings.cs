namespace Cluster.Contracts.JobFiles;

/// <summary>Values put into a job file from outside: "hyperparameters.epochs=3".</summary>
public static class JobFileSettings
{
    private const string Form = "KEY=VALUE";

    /// <summary>The text of the same file with each setting in its place, whatever stood there before.</summary>
    /// <param name="settings">Dotted paths as in an experiment's variants, or <c>array</c>; a later one wins.</param>
    /// <exception cref="JobFileException">A setting is none, or the file with all of them does not describe what could run.</exception>
    public static string Apply(string yaml, IEnumerable<string> settings)
    {
        JobFile.CheckSize(System.Text.Encoding.UTF8.GetByteCount(yaml));
        var document = settings.Aggregate(JobFile.Document(yaml), Put);
        // By the lines of the file as it was given.
        if (ExperimentFile.Describes(document))
            ExperimentFile.Parse(document);
        else
            JobFile.ReadMarked(document);
        return YamlText.Write(document);
    }

    private static YamlMapping Put(YamlMapping document, string setting)
    {
        var equals = setting.IndexOf('=', StringComparison.Ordinal);
        if (equals <= 0)
            throw new JobFileException([new(Form, JobFileViolation.Shown(setting), "must have a key and a value", "write it as seed=3")]);
        var entry = new YamlEntry(setting[..equals], Line: 0, Value(setting[..equals], setting[(equals + 1)..]));
        if (entry.Key == ExperimentFile.Array)
            return document with { Entries = [.. document.Entries.Where(other => other.Key != entry.Key), entry] };
        return SettingPath.UnknownKey(entry) is { } unknown ? throw new JobFileException([unknown]) : SettingPath.Put(document, entry);
    }

    /// <summary>As it would be read behind the key in a file.</summary>
    private static YamlTree Value(string key, string text)
    {
        try
        {
            return WithoutLines(YamlTree.ReadMapping($"value: {text}").Entries[0].Value);
        }
        catch (JobFileException)
        {
            throw new JobFileException(
                [new(JobFileViolation.Shown(key), JobFileViolation.Shown(text), "is no value", "quote it within the setting")]);
        }
    }

    private static YamlTree WithoutLines(YamlTree value) => value switch
    {
        YamlSequence list => new YamlSequence([.. list.Items.Select(WithoutLines)], Line: 0),
        YamlMapping mapping => new YamlMapping([.. mapping.Entries.Select(entry => entry with
        {
            Line = 0,
            Value = WithoutLines(entry.Value),
        })], Line: 0),
        _ => value with { Line = 0 },
    };
}
