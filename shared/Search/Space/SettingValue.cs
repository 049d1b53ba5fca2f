using System.Globalization;

namespace Cluster.Search.Space;

/// <summary>A value as a job file writes it.</summary>
/// <param name="IsText">It stood in quotes: never a number, true or false, whatever it looks like.</param>
public readonly record struct SettingValue(string Text, bool IsText = false)
{
    public static SettingValue Of(long value) => new(value.ToString(CultureInfo.InvariantCulture));

    public static SettingValue Of(double value) => new(value.ToString("R", CultureInfo.InvariantCulture));

    public override string ToString() => Text;
}

/// <param name="Path">"hyperparameters.optimizer.learningRate".</param>
public readonly record struct Setting(string Path, SettingValue Value);
