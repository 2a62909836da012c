"""The bank marketing data as in a notebook: pandas and scikit-learn on your side, boto3 for what is in S3.

    clary run python notebook.py bank-additional-full.csv.gz

The same program runs against AWS. The data: https://archive.ics.uci.edu/dataset/222/bank+marketing.
"""

# %% The table goes to a bucket of its own
import gzip
import io
import pickle
import sys
import uuid
from pathlib import Path

import boto3
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report, confusion_matrix
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler

source = Path(sys.argv[1])
bucket = f"bank-marketing-{uuid.uuid4().hex[:8]}"
s3 = boto3.client("s3")
s3.create_bucket(Bucket=bucket)
s3.put_object(Bucket=bucket, Key="banking.csv", Body=gzip.decompress(source.read_bytes()))

# %% Read it from there: missing values as 0, texts as numbers
rows = pd.read_csv(s3.get_object(Bucket=bucket, Key="banking.csv")["Body"], sep=";")
for name in rows:
    if pd.api.types.is_numeric_dtype(rows[name]):
        rows[name] = rows[name].fillna(0)
    else:
        rows[name] = LabelEncoder().fit_transform(rows[name].fillna("0"))
print(f"{len(rows)} rows of {len(rows.columns)} columns, of whom {rows['y'].mean():.1%} subscribed")

# %% 80 % to train with, 20 % to test with
train, test = train_test_split(rows, test_size=0.2, random_state=0)
model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
model.fit(train.drop(columns="y"), train["y"])

# %% How good it is
predicted = model.predict(test.drop(columns="y"))
print(classification_report(test["y"], predicted, digits=4))
print("confusion", confusion_matrix(test["y"], predicted).tolist())

# %% The model and what it predicts go back to S3
s3.put_object(Bucket=bucket, Key="model.pkl", Body=pickle.dumps(model))
s3.put_object(Bucket=bucket, Key="new.csv", Body=test.assign(predicted=predicted).to_csv(index=False).encode())

# %% As anybody else finds them there
again = pickle.loads(s3.get_object(Bucket=bucket, Key="model.pkl")["Body"].read())
table = pd.read_csv(io.BytesIO(s3.get_object(Bucket=bucket, Key="new.csv")["Body"].read()))
same = again.predict(table.drop(columns=["y", "predicted"])) == table["predicted"]
print(f"s3://{bucket}/new.csv: {len(table)} rows, {same.mean():.0%} predicted alike by model.pkl")
