using System.Text;
using System.Text.Json;

namespace Cluster.Contracts.JobFiles;

/// <summary>Writes a document that was read, so that it reads back to the same tree but for its lines.</summary>
internal static class YamlText
{
    public static string Write(YamlMapping document)
    {
        var yaml = new StringBuilder();
        WriteEntries(yaml, document, indent: 0, lead: "");
        return yaml.ToString();
    }

    private static void WriteEntries(StringBuilder yaml, YamlMapping mapping, int indent, string lead)
    {
        foreach (var entry in mapping.Entries)
        {
            yaml.Append(' ', indent - lead.Length).Append(lead).Append(Key(entry.Key)).Append(':');
            WriteValue(yaml, entry.Value, indent + 2);
            lead = "";
        }
    }

    /// <summary>What follows a key, or a list's dash.</summary>
    private static void WriteValue(StringBuilder yaml, YamlTree value, int indent)
    {
        switch (value)
        {
            case YamlScalar scalar:
                yaml.Append(' ').Append(Text(scalar)).Append('\n');
                break;
            case YamlMapping { Entries.Count: 0 }:
                yaml.Append(" {}\n");
                break;
            case YamlSequence { Items.Count: 0 }:
                yaml.Append(" []\n");
                break;
            case YamlMapping mapping:
                yaml.Append('\n');
                WriteEntries(yaml, mapping, indent, lead: "");
                break;
            case YamlSequence list:
                yaml.Append('\n');
                foreach (var item in list.Items)
                    WriteItem(yaml, item, indent);
                break;
        }
    }

    private static void WriteItem(StringBuilder yaml, YamlTree item, int indent)
    {
        if (item is YamlMapping { Entries.Count: > 0 } mapping)
        {
            WriteEntries(yaml, mapping, indent + 2, lead: "- ");
            return;
        }

        yaml.Append(' ', indent).Append('-');
        WriteValue(yaml, item, indent + 2);
    }

    private static string Key(string key) => YamlValue.IsSafePlainText(key) ? key : Quoted(key);

    // What stood without quotes over several lines was text, and stays so in quotes.
    private static string Text(YamlScalar scalar) =>
        scalar.IsPlain && !scalar.Text.Any(char.IsControl) ? scalar.Text : Quoted(scalar.Text);

    // A JSON string is a YAML double-quoted scalar.
    private static string Quoted(string text) => JsonSerializer.Serialize(text);
}
